package policies

import (
	"context"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
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

// TestR18RenewedWatchDoesNotGoBack: an API server without streamed lists is asked
// for no older state than what is known. One whose cache lags would otherwise take
// a deny list back.
func TestR18RenewedWatchDoesNotGoBack(t *testing.T) {
	now := time.Unix(0, 0)
	var clock sync.Mutex
	asked := make(chan string, 10)
	lagging := func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
		list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "80"}}}
		if len(asked) == 0 || o.ResourceVersion != "0" {
			list.SetResourceVersion("100")
			list.Items = append(list.Items, *sample(1, 1, "90"))
		}
		asked <- o.ResourceVersion
		return list, nil
	}
	changed := make(chan struct{}, 10)
	m := &mirror[int]{
		reduce: func(runtime.Object, int) (int, bool) { return 0, true }, changed: func() { changed <- struct{}{} },
		now: func() time.Time { clock.Lock(); defer clock.Unlock(); return now },
	}
	var wait sync.WaitGroup
	stop := m.start(t.Context(), lists{list: lagging, watch: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
		if o.SendInitialEvents != nil {
			return nil, apierrors.NewBadRequest("sendInitialEvents is forbidden")
		}
		return watch.NewFake(), nil
	}}, "", &wait)
	defer wait.Wait()
	defer stop()
	for synced := false; !synced; _, synced = m.last() {
		<-changed
	}
	clock.Lock()
	now = now.Add(silentAfter + time.Minute)
	later := now
	clock.Unlock()
	for heard := (time.Time{}); heard.Before(later); heard, _ = m.last() { // until it was listed anew
		m.renew(later.Add(-silentAfter))
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond):
		}
	}
	if first, second := <-asked, <-asked; first != "0" || second != "100" {
		t.Errorf("want the second list to be as new as the first at least, got lists of %q and %q", first, second)
	}
	if len(m.all()) != 1 {
		t.Errorf("want what was known to stay, got %d objects", len(m.all()))
	}
}
