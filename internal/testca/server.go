package testca

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Fault is what goes wrong with the answers to a path.
type Fault uint8

// The faults.
const (
	Healthy Fault = iota // none
	Endless              // a body without an end
	Hanging              // no answer until the client goes away
	Broken               // status 500
	Missing              // status 404
	Cut                  // half of the body
	Changed              // a body with a bit changed, of the same length
)

// server serves files and, where told so, faults.
type server struct {
	url  string
	find func(path string) ([]byte, bool)

	mu       sync.Mutex
	faults   map[string]Fault
	all      Fault
	requests []string
}

func (s *server) start(tb testing.TB, find func(string) ([]byte, bool)) {
	s.find, s.faults = find, map[string]Fault{}
	listening := httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(func() {
		listening.CloseClientConnections() // for those that hang
		listening.Close()
	})
	s.url = listening.URL
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	content, found := s.find(path)
	switch fault := s.note(path); {
	case fault == Endless:
		spaces := []byte(strings.Repeat(" ", 1<<16)) // which JSON may have anywhere
		for r.Context().Err() == nil {
			if _, err := w.Write(spaces); err != nil {
				return
			}
		}
	case fault == Hanging:
		<-r.Context().Done()
	case fault == Broken:
		http.Error(w, "broken", http.StatusInternalServerError)
	case fault == Missing || !found:
		http.NotFound(w, r)
	case fault == Cut:
		_, _ = w.Write(content[:len(content)/2])
	case fault == Changed:
		changed := slices.Clone(content)
		changed[len(changed)/2] ^= 1
		_, _ = w.Write(changed)
	default:
		_, _ = w.Write(content)
	}
}

// note counts a request and returns what goes wrong with it.
func (s *server) note(path string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, path)
	if s.all != Healthy {
		return s.all
	}
	for _, part := range slices.Sorted(maps.Keys(s.faults)) {
		if strings.HasSuffix(path, part) {
			return s.faults[part]
		}
	}
	return Healthy
}

// Fail lets the answers to each path that ends so go wrong: "timestamp.json",
// "snapshot.json", "targets.json", "root.json" or a target's name. Healthy
// ends it.
func (t *TUF) Fail(pathSuffix string, with Fault) {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.server.faults[pathSuffix] = with
}

// FailAll lets every answer go wrong. Healthy ends it.
func (t *TUF) FailAll(with Fault) {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.server.all = with
}

// Requests returns the paths that were asked for, in order, such as
// "timestamp.json".
func (t *TUF) Requests() []string {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	return slices.Clone(t.server.requests)
}
