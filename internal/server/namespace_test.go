package server_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

// namespaces is a cluster's namespaces by name.
type namespaces map[string]map[string]string

func (n namespaces) Namespace(name string) (map[string]string, bool) {
	labels, known := n[name]
	return labels, known
}

// bySelector denies where a policy that selects by namespace cannot be told to
// apply, as engines do.
func bySelector(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
	return by(d, policy.Enforce, policy.Undecided, &evidence.Problem{Reason: evidence.SelectionFailed, Expected: "the namespace of the request", Got: "none"})
}

func TestNamespaceLabelsReachThePolicies(t *testing.T) {
	cases := map[string]struct {
		reason string
		reader server.NamespaceLabels
		want   policy.Namespace
	}{
		"NoReader": {"labels are not known, which is not none", nil, policy.Namespace{State: policy.NamespaceKnown, Name: "recorded"}},
		"Labels": {"as the reader has them", namespaces{"recorded": {"team": "a"}}, policy.Namespace{
			State: policy.NamespaceKnown, Name: "recorded", Labels: map[string]string{"team": "a"},
		}},
		"NoLabels": {"none are known to be none", namespaces{"recorded": nil}, policy.Namespace{
			State: policy.NamespaceKnown, Name: "recorded", Labels: map[string]string{},
		}},
		"R16UnknownNamespace": {"CVE-2025-46342: never taken for one without labels", namespaces{"other": {"team": "a"}}, policy.Namespace{
			State: policy.NamespaceUnknown, Name: "recorded",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			body := recorded(t, "pod-create")
			synctest.Test(t, func(t *testing.T) {
				for _, path := range []string{mutateDoor, validateDoor} {
					var got policy.Namespace
					s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
						got = r.Namespace
						return allow(r, d)
					}), func(o *server.Options) { o.Namespaces = tc.reader })
					ask(t, s, path, body)
					if diff := cmp.Diff(tc.want, got); diff != "" {
						t.Errorf("%s: %s: -want +got:\n%s", path, tc.reason, diff)
					}
				}
			})
		})
	}
}

func TestR16UnknownNamespaceAtGatekeeper(t *testing.T) {
	got := map[string]policy.Namespace{}
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		got[d.Image.Ref] = r.Namespace
		return allow(r, d)
	}), func(o *server.Options) { o.Namespaces = namespaces{"team-a": {"team": "a"}} })
	for _, k := range []string{"[team-a]ghcr.io/acme/known:1", "[team-b]ghcr.io/acme/unknown:1", "[]ghcr.io/acme/empty:1", "ghcr.io/acme/none:1"} {
		provide(t, s, ownValidate, k)
	}
	want := map[string]policy.Namespace{
		"ghcr.io/acme/known:1":   {State: policy.NamespaceKnown, Name: "team-a", Labels: map[string]string{"team": "a"}},
		"ghcr.io/acme/unknown:1": {State: policy.NamespaceUnknown, Name: "team-b"},
		"ghcr.io/acme/empty:1":   {State: policy.NamespaceUnknown},
		"ghcr.io/acme/none:1":    {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// lateNamespace becomes known after some time.
type lateNamespace struct{ known atomic.Bool }

func (l *lateNamespace) Namespace(string) (map[string]string, bool) {
	return map[string]string{"team": "a"}, l.known.Load()
}

// TestR16NewNamespaceIsAwaited creates a Pod in a namespace whose event is still
// on its way.
func TestR16NewNamespaceIsAwaited(t *testing.T) {
	body := recorded(t, "pod-create")
	decide := func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		if r.Namespace.State != policy.NamespaceKnown || r.Namespace.Labels["team"] != "a" {
			return bySelector(r, d)
		}
		return allow(r, d)
	}
	synctest.Test(t, func(t *testing.T) {
		late := &lateNamespace{}
		s := newServer(t, each(decide), func(o *server.Options) { o.Namespaces = late })
		event := time.AfterFunc(300*time.Millisecond, func() { late.known.Store(true) })
		defer event.Stop()
		began := time.Now()
		wantAllowed(t, ask(t, s, validateDoor+"?timeout=2s", body))
		if took := time.Since(began); took > 400*time.Millisecond {
			t.Errorf("want an answer once the namespace is known, got one after %s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, each(decide), func(o *server.Options) { o.Namespaces = &lateNamespace{} })
		began := time.Now()
		wantDenied(t, ask(t, s, validateDoor+"?timeout=2s", body), "expected the namespace of the request")
		if took := time.Since(began); took > 1200*time.Millisecond {
			t.Errorf("want an answer well before the deadline, got one after %s", took)
		}
	})
}

func TestQuestionNamesTheObject(t *testing.T) {
	generated := func(r map[string]any) {
		delete(request(r), "name")
		meta := object(r)["metadata"].(map[string]any)
		delete(meta, "name")
		meta["generateName"] = "app-5d9-"
	}
	nameless := func(r map[string]any) {
		generated(r)
		delete(object(r)["metadata"].(map[string]any), "generateName")
	}
	var got []string
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		got = append(got, r.Name)
		return allow(r, d)
	}))
	for _, e := range [][]edit{nil, {generated}, {nameless}} {
		ask(t, s, validateDoor, recorded(t, "pod-create", e...))
	}
	if want := []string{"app", "app-5d9-*", ""}; !slices.Equal(slices.Compact(got), want) {
		t.Errorf("want %q, got %q", want, got)
	}
}
