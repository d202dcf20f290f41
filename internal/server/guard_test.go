package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

var (
	_ server.Decider  = (*engine.Engine)(nil)
	_ engine.Observer = (*server.Metrics)(nil)
)

// TestR45AnswersBeforeTheDeadline asks deciders that do not return in time, in
// a bubble whose clock only moves when all wait.
func TestR45AnswersBeforeTheDeadline(t *testing.T) {
	cases := map[string]struct {
		reason  string
		query   string
		atMost  time.Duration // what the caller waits
		atLeast time.Duration
	}{
		"Absent":    {"10 s, as Kubernetes has it", "", 10 * time.Second, 9 * time.Second},
		"Given":     {"the caller's time less a margin", "?timeout=2s", 2 * time.Second, 1500 * time.Millisecond},
		"Short":     {"a margin is left even so", "?timeout=100ms", 100 * time.Millisecond, 50 * time.Millisecond},
		"Malformed": {"the default", "?timeout=soon", 10 * time.Second, 9 * time.Second},
		"Negative":  {"the default", "?timeout=-1s", 10 * time.Second, 9 * time.Second},
		"TooLong":   {"the longest that Kubernetes knows", "?timeout=1h", 30 * time.Second, 29 * time.Second},
	}
	body := recorded(t, "pod-create")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision {
					<-release // deaf to its context
					return engine.Decision{}
				}))
				began := time.Now()
				response := ask(t, s, validateDoor+tc.query, body)
				took := time.Since(began)
				wantDenied(t, response, "3 of 3 images may not run; 3 could not be decided", "expected a decision before the deadline")
				if took >= tc.atMost || took < tc.atLeast {
					t.Errorf("%s: want an answer in %s to %s, got %s", tc.reason, tc.atLeast, tc.atMost, took)
				}
				close(release)
			})
		})
	}
}

func TestR45DeciderThatKeepsTheDeadlineIsHeard(t *testing.T) {
	body := recorded(t, "pod-create")
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
			<-ctx.Done()
			return each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
				return by(d, policy.Enforce, policy.Undecided, &evidence.Problem{Reason: evidence.RegistryTimeout, Got: "no answer of the registry"})
			})(ctx, r)
		}))
		wantDenied(t, ask(t, s, validateDoor+"?timeout=1s", body), "got no answer of the registry")
	})
}

// TestR45TooManyInFlight fills the server with requests that hang; the next one
// waits for its deadline and is refused, and one after that is served.
func TestR45TooManyInFlight(t *testing.T) {
	body := recorded(t, "pod-create")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newServer(t, server.DeciderFunc(func(_ context.Context, r engine.Request) engine.Decision {
			<-release
			return each(allow)(t.Context(), r)
		}))
		var hanging sync.WaitGroup
		for range 512 {
			hanging.Go(func() { post(s.Doors(), validateDoor+"?timeout=1s", body) })
		}
		hanging.Wait() // every caller was answered, and every decision goes on
		if w := post(s.Doors(), validateDoor, body); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "allowed") {
			t.Errorf("want 503, got %d: %s", w.Code, w.Body)
		}
		close(release)
		synctest.Wait()
		wantAllowed(t, ask(t, s, validateDoor, body))
	})
}

// TestLargeBodiesAreBounded has as many large bodies as there is room for
// stall: one more is refused at its deadline, a small one is served, and so is
// a large one once there is room.
func TestLargeBodiesAreBounded(t *testing.T) {
	small := recorded(t, "pod-create")
	large := append(bytes.Clone(small), bytes.Repeat([]byte{' '}, 1<<20)...)
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, each(allow))
		var stalled sync.WaitGroup
		var writers []*io.PipeWriter
		for range 8 {
			body, writer := io.Pipe()
			writers = append(writers, writer)
			stalled.Go(func() {
				r := httptest.NewRequest(http.MethodPost, validateDoor, body)
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				s.Doors().ServeHTTP(w, r)
				wantAllowed(t, read(t, w.Result()))
			})
			if _, err := writer.Write(large); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if w := post(s.Doors(), validateDoor+"?timeout=1s", large); w.Code != http.StatusServiceUnavailable {
			t.Errorf("want 503, got %d: %s", w.Code, w.Body)
		}
		wantAllowed(t, ask(t, s, validateDoor, small))
		for _, w := range writers {
			w.CloseWithError(io.EOF)
		}
		stalled.Wait()
		wantAllowed(t, ask(t, s, validateDoor, large))
	})
}

func TestR48NothingLeadsToAllowed(t *testing.T) {
	cases := map[string]struct {
		reason string
		decide func(context.Context, engine.Request) engine.Decision
	}{
		"Panic": {"a decider that panics", func(context.Context, engine.Request) engine.Decision { panic(errBoom) }},
		"Nil":   {"a decision over no images", func(context.Context, engine.Request) engine.Decision { return engine.Decision{} }},
		"TooFew": {"one image is missing", func(ctx context.Context, r engine.Request) engine.Decision {
			d := each(allow)(ctx, r)
			d.Images = d.Images[1:]
			return d
		}},
		"OtherImages": {"the decisions are about others", func(ctx context.Context, r engine.Request) engine.Decision {
			d := each(allow)(ctx, r)
			d.Images[0].Image = workload.Image{Ref: "other"}
			return d
		}},
		"Zero": {"decisions that nobody filled in", func(_ context.Context, r engine.Request) engine.Decision {
			d := engine.Decision{}
			for _, i := range r.Images {
				d.Images = append(d.Images, engine.ImageDecision{Image: i})
			}
			return d
		}},
		"NoPolicies": {"allowed by nobody", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			d.Outcome = policy.Allowed
			return d
		})},
		"UnknownOutcome": {"an outcome of a later version", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			d = by(d, policy.Enforce, policy.Allowed)
			d.Outcome = policy.Outcome(77)
			return d
		})},
		"PanicInRendering": {"a problem that is nil", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			return by(d, policy.Enforce, policy.Denied, nil)
		})},
		"OneUndecided": {"one image of three", each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
			if d.Image.Name == "app" {
				return by(d, policy.Enforce, policy.Undecided)
			}
			return allow(r, d)
		})},
	}
	for name, tc := range cases {
		for _, path := range []string{mutateDoor, validateDoor} {
			t.Run(name+path, func(t *testing.T) {
				broken := true
				s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
					if broken {
						return tc.decide(ctx, r)
					}
					return each(allow)(ctx, r)
				}))
				wantDenied(t, ask(t, s, path, recorded(t, "pod-create")), "bonafide: ")
				broken = false // and the server goes on
				wantAllowed(t, ask(t, s, path, recorded(t, "pod-create")))
			})
		}
	}
}

func TestR48PanicIsCountedAndLogged(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision { panic("boom") }), func(o *server.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	wantDenied(t, ask(t, s, validateDoor, recorded(t, "pod-create")), "internal error")
	if !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("want the stack in the log, got %s", &log)
	}
	wantMetric(t, s, `bonafide_panics_total{door="validate"} 1`, true)
}

func scrape(t *testing.T, s *server.Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Status().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("metrics: got %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantMetric(t *testing.T, s *server.Server, sample string, present bool) {
	t.Helper()
	if all := scrape(t, s); strings.Contains(all, sample) != present {
		t.Errorf("want %q present=%t in\n%s", sample, present, ours(all))
	}
}

// ours leaves out Go's own metrics, and what is going on at the moment.
func ours(all string) string {
	var b strings.Builder
	for l := range strings.Lines(all) {
		if strings.HasPrefix(l, "bonafide_") && !strings.Contains(l, "_bucket") && !strings.HasPrefix(l, "bonafide_in_flight") {
			b.WriteString(l)
		}
	}
	return b.String()
}

func TestR47DryRunRecordsNothing(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, each(deny), func(o *server.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	before := ours(scrape(t, s))
	wantDenied(t, ask(t, s, validateDoor, recorded(t, "pod-create", set("dryRun", true))))
	wantDenied(t, ask(t, s, validateDoor, recorded(t, "pod-create", set("dryRun", true), set("object", nil))))
	if after := ours(scrape(t, s)); before != after || log.Len() > 0 {
		t.Errorf("want nothing recorded, got log %q and metrics\n%s", &log, after)
	}
	wantDenied(t, ask(t, s, validateDoor, recorded(t, "pod-create")))
	wantMetric(t, s, `bonafide_decisions_total{door="validate",outcome="denied",reason="NotSigned"} 3`, true)
	if !strings.Contains(log.String(), "denied") {
		t.Errorf("want the denial in the log, got %q", &log)
	}
}

func TestR47LabelsAreBounded(t *testing.T) {
	m := server.NewMetrics("registry.example")
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Outcome, d.Problem = policy.Unmatched, &evidence.Problem{Reason: evidence.NoPolicy}
		if d.Image.Name == "app" {
			d.Outcome, d.Problem = policy.Denied, &evidence.Problem{Reason: evidence.Reason("written by " + d.Image.Ref)}
		}
		return d
	}), func(o *server.Options) { o.Metrics = m })
	for i := range 300 {
		ask(t, s, validateDoor, recorded(t, "pod-create", set("namespace", "team-"+strings.Repeat("x", i))))
	}
	for _, host := range []string{"registry.example", "evil-1.example", "evil-2.example"} {
		m.RegistryRequest(host, 200, time.Millisecond)
	}
	m.RegistryRequest("registry.example", 0, time.Millisecond)
	m.RegistryRequest("registry.example", 12345, time.Millisecond)
	m.CacheLooked("proof", true)
	m.Verified(policy.Denied)
	m.PoliciesLoaded([]policy.Policy{{Notes: []policy.Note{{Weakening: true}, {Weakening: true}}}, {}}, time.Unix(42, 0))
	m.PoliciesFailed()
	all := ours(scrape(t, s))
	if n := strings.Count(all, "bonafide_unmatched_images_total{"); n != 201 {
		t.Errorf("want 200 namespaces and the rest, got %d", n)
	}
	for _, sample := range []string{
		`bonafide_unmatched_images_total{namespace="_other"} 200`,
		`bonafide_decisions_total{door="validate",outcome="denied",reason="_other"} 300`,
		`bonafide_registry_request_seconds_count{host="_other",status="2xx"} 2`,
		`bonafide_registry_request_seconds_count{host="registry.example",status="none"} 2`,
		`bonafide_cache_lookups_total{cache="proof",hit="true"} 1`,
		`bonafide_verifications_total{outcome="denied"} 1`,
		"bonafide_policies 2", "bonafide_policy_weakenings 1",
		`bonafide_policy_reloads_total{result="failure"} 1`, `bonafide_policy_reloads_total{result="success"} 1`,
		"bonafide_policy_last_reload_timestamp_seconds 42",
	} {
		if !strings.Contains(all, sample+"\n") {
			t.Errorf("want %q in\n%s", sample, all)
		}
	}
	if strings.Contains(all, "evil") || strings.Contains(all, "written by") {
		t.Errorf("want no label that others choose, got\n%s", all)
	}
}

func TestR18NotReady(t *testing.T) {
	ready := errors.New("no policies loaded yet")
	s := newServer(t, never(t), func(o *server.Options) { o.Ready = func() error { return ready } })
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.Status().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no policies loaded yet") {
		t.Errorf("want 503 and the reason, got %d: %s", code, body)
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("want it alive, got %d", code)
	}
	ready = nil
	if code, _ := get("/readyz"); code != http.StatusOK {
		t.Errorf("want it ready, got %d", code)
	}
}

func TestNewRequires(t *testing.T) {
	if s, err := server.New(server.Options{}); err == nil || s != nil {
		t.Errorf("want an error for empty options, got %v", s)
	}
	for _, word := range []string{"warn", "allow", "deny"} {
		if u, err := server.ParseUnmatched(word); err != nil || u.String() != word {
			t.Errorf("ParseUnmatched(%q): got %s, %v", word, u, err)
		}
	}
	if u, err := server.ParseUnmatched("Allow"); err == nil || u != server.UnmatchedDeny {
		t.Errorf("want an error and deny, got %s, %v", u, err)
	}
}
