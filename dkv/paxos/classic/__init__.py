"""Classic Paxos: any node proposes into any slot, and none leads."""
