package localpg

// WatchdogPID lets a test kill what nobody else should know about.
func (s *Server) WatchdogPID() int { return s.watchdog.pid }
