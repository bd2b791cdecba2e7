// etcd_load asks an etcd cluster as dkv/cli/benchmarks/generator.py asks dkv: one request at a time for each client, for
// random keys, by gRPC connections that many clients share. It prints one JSON object, with latencies as pairs of
// seconds and how many took no longer.
//
// It is built on Debian with the packages golang-go and golang-etcd-server-dev, without a network:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build etcd_load.go
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/ioutil"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc/grpclog"
)

var (
	endpoints   = flag.String("endpoints", "", "comma-separated; connection i has endpoint i")
	everywhere  = flag.Bool("everywhere", false, "every connection knows all endpoints")
	connections = flag.Int("connections", 16, "gRPC connections, at most as many as clients")
	clients     = flag.Int("clients", 64, "clients")
	requests    = flag.Int("requests", 0, "requests in all")
	seconds     = flag.Float64("seconds", 0, "how long, instead of requests")
	patience    = flag.Float64("patience-seconds", 0, "give a request up after so long, and go on; 0 is never")
	valueBytes  = flag.Int("value-bytes", 64, "bytes of a value")
	operation   = flag.String("operation", "set", "set, get, mixed, or fill: every key once")
	keys        = flag.Int("keys", 10000, "how many keys there are")
)

// What all clients have seen, and how many requests are left.
type seen struct {
	sync.Mutex
	left     int
	next     int
	end      time.Time
	last     time.Time
	gap      time.Duration
	times    []float64
	failures int
	why      string
}

// Whether there is one more request to make, and its number.
func (s *seen) more() (int, bool) {
	s.Lock()
	defer s.Unlock()
	s.next++
	if *seconds > 0 {
		return s.next - 1, time.Now().Before(s.end)
	}
	s.left--
	return s.next - 1, s.left >= 0
}

func (s *seen) answered(sent time.Time, err error) {
	now := time.Now()
	s.Lock()
	defer s.Unlock()
	if err != nil {
		s.failures++
		s.why = err.Error()
		return
	}
	if (*seconds == 0 || now.Before(s.end)) && now.Sub(s.last) > s.gap {
		s.gap = now.Sub(s.last)
	}
	s.last = now
	s.times = append(s.times, now.Sub(sent).Seconds())
}

func connect() []*clientv3.Client {
	addresses := strings.Split(*endpoints, ",")
	var pool []*clientv3.Client
	for i := 0; i < *connections && i < *clients; i++ {
		to := []string{addresses[i%len(addresses)]}
		if *everywhere {
			to = addresses
		}
		client, err := clientv3.New(clientv3.Config{Endpoints: to, DialTimeout: 5 * time.Second})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		pool = append(pool, client)
	}
	return pool
}

func ask(client *clientv3.Client, random *rand.Rand, number int, value string) error {
	background := context.Background()
	if *patience > 0 {
		limited, cancel := context.WithTimeout(background, time.Duration(*patience*float64(time.Second)))
		defer cancel()
		background = limited
	}
	key, write := random.Intn(*keys), *operation == "set"
	if *operation == "fill" {
		key, write = number%*keys, true
	} else if *operation == "mixed" {
		write = random.Intn(2) == 0
	}
	name := fmt.Sprintf("key:%012d", key)
	var err error
	if write {
		_, err = client.Put(background, name, value)
	} else {
		_, err = client.Get(background, name)
	}
	return err
}

func main() {
	flag.Parse()
	clientv3.SetLogger(grpclog.NewLoggerV2(ioutil.Discard, ioutil.Discard, ioutil.Discard))
	pool := connect()
	value := strings.Repeat("v", *valueBytes)
	var running sync.WaitGroup
	began := time.Now()
	all := &seen{left: *requests, last: began, end: began.Add(time.Duration(*seconds * float64(time.Second)))}
	for i := 0; i < *clients; i++ {
		running.Add(1)
		go func(i int) {
			defer running.Done()
			random := rand.New(rand.NewSource(int64(i)))
			for number, more := all.more(); more; number, more = all.more() {
				sent := time.Now()
				all.answered(sent, ask(pool[i%len(pool)], random, number, value))
			}
		}(i)
	}
	running.Wait()
	took := time.Since(began).Seconds()
	if len(all.times) == 0 || (all.failures > 0 && *patience == 0) {
		fmt.Fprintf(os.Stderr, "%d requests failed: %s\n", all.failures, all.why)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"seconds": took, "requests": len(all.times), "steps": steps(all.times),
		"longest_gap_seconds": all.gap.Seconds(), "failures": all.failures,
	})
}

// A thousand quantiles, and those beyond the 99th percentile one by one.
func steps(times []float64) [][2]float64 {
	sort.Float64s(times)
	var found [][2]float64
	stride := len(times)/1000 + 1
	for i := range times {
		if (i+1)%stride == 0 || i >= len(times)*99/100 {
			found = append(found, [2]float64{times[i], float64(i + 1)})
		}
	}
	return found
}
