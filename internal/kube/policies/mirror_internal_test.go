package policies

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// TestR48PanicLeavesNoLock: whoever asks after it is answered.
func TestR48PanicLeavesNoLock(t *testing.T) {
	cases := map[string]struct {
		reason string
		do     func(m *mirror[int])
	}{
		"Update":  {"an event", func(m *mirror[int]) { _ = m.Update(sample(1, 1, "1")) }},
		"Replace": {"a list", func(m *mirror[int]) { _ = m.Replace([]any{sample(1, 1, "1")}, "") }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := &mirror[int]{
				reduce:  func(runtime.Object, int) (int, bool) { panic("a test") },
				changed: func() {}, now: time.Now,
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: expected a panic, got none", tc.reason)
					}
				}()
				tc.do(m)
			}()
			if !m.mu.TryLock() {
				t.Fatalf("%s: expected the lock to be free", tc.reason)
			}
			if len(m.items) > 0 || m.synced {
				t.Errorf("%s: expected nothing of it to be taken over, got %v", tc.reason, m.items)
			}
		})
	}
}

// TestMirrorIsAsOldAsWhatWasHeard: a complete list, an event and a bookmark are
// news; a watch that begins and says nothing is none.
func TestMirrorIsAsOldAsWhatWasHeard(t *testing.T) {
	now := time.Unix(0, 0)
	m := &mirror[int]{reduce: func(runtime.Object, int) (int, bool) { return 0, false }, changed: func() {}, now: func() time.Time { return now }}
	if heard, synced := m.last(); !heard.IsZero() || synced {
		t.Errorf("expected nothing to be heard yet, got %s", heard)
	}
	steps := []struct {
		reason string
		do     func() error
		heard  bool
	}{
		{"a list", func() error { return m.Replace([]any{sample(1, 1, "1")}, "") }, true},
		{"a watch that begins", func() error { m.failed(t.Context(), nil); m.begin(func() {}); return nil }, false},
		{"an object that comes", func() error { return m.Add(sample(2, 1, "2")) }, true},
		{"an object that changes", func() error { return m.Update(sample(2, 2, "3")) }, true},
		{"a bookmark", func() error { return m.Bookmark("4") }, true},
		{"an object that goes", func() error { return m.Delete(sample(2, 2, "3")) }, true},
	}
	for _, s := range steps {
		now = now.Add(time.Minute)
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
		if heard, _ := m.last(); heard.Equal(now) != s.heard {
			t.Errorf("%s: expected it to be news %t, got %s at %s", s.reason, s.heard, heard, now)
		}
	}
}

// TestWatchIsRenewedOnlyIfItIsSilent: and not again before the new one had its
// time.
func TestWatchIsRenewedOnlyIfItIsSilent(t *testing.T) {
	now := time.Unix(0, 0)
	renewed := 0
	m := &mirror[int]{reduce: func(runtime.Object, int) (int, bool) { return 0, false }, changed: func() {}, now: func() time.Time { return now }}
	m.renew(now) // nothing has begun yet
	m.begin(func() { renewed++ })
	look := func(want int, reason string) {
		t.Helper()
		m.renew(now.Add(-silentAfter))
		if renewed != want {
			t.Errorf("%s: expected %d, got %d", reason, want, renewed)
		}
	}
	now = now.Add(silentAfter)
	look(0, "it has had no more than its time")
	now = now.Add(1)
	look(1, "it says nothing")
	m.begin(func() { renewed++ })
	look(1, "another has begun")
	now = now.Add(silentAfter)
	if err := m.Bookmark("1"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(silentAfter)
	look(1, "it has said something")
	now = now.Add(1)
	look(2, "it says nothing any more")
}
