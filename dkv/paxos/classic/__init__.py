"""Classic Paxos: any node proposes into any slot, and none leads (Paxos Made Simple, section 2, slot by slot)."""
