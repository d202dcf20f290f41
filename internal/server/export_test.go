package server

import "testing"

// OccupyReading takes all places for reading requests at /checkimages, until
// release.
func (s *Server) OccupyReading(t testing.TB) (release func()) {
	t.Helper()
	for range maxReading {
		if _, ok := s.reading.take(t.Context()); !ok {
			t.Fatal("no place")
		}
	}
	return func() {
		for range maxReading {
			<-s.reading
		}
	}
}

// MaxConditionHolders is how many requests hold conditions at once.
const MaxConditionHolders = maxConditionHolders
