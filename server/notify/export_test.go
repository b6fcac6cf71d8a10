package notify

// Places counts what is waited for now.
func (ws *Waiters) Places() int {
	n := 0
	for i := range ws.shards {
		sh := &ws.shards[i]
		sh.mu.Lock()
		n += len(sh.places)
		sh.mu.Unlock()
	}
	return n
}
