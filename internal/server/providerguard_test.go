package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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

// TestR45OneItemPerKeyByteForByte asks by keys that are easily changed on the
// way.
func TestR45OneItemPerKeyByteForByte(t *testing.T) {
	asked := []string{
		"ghcr.io/acme/app:denied", "ghcr.io/acme/app:denied", "", " ", "a\nb", "a\r", "tab\t", "nul\x00", "\u2028", "<script>&", "ä:1", "\U0001F600",
		"quote\"back\\slash", "[shop]ghcr.io/acme/app:denied", "[]", "[", "]", "GHCR.io/acme/app:denied", "ghcr.io:443/acme/app:denied", "\ufffd", strings.Repeat("x", 5000),
	}
	for _, path := range providerPaths() {
		got := provide(t, newServer(t, each(byTag)), path, asked...).Response
		if got.SystemError != "" || len(got.Items) != len(asked) {
			t.Fatalf("%s: want %d items, got %+v", path, len(asked), got)
		}
		for i, key := range asked {
			j := got.Items[i]
			if j.Key != key || (j.Error == "") == (j.Value == nil) {
				t.Errorf("%s: want an answer to %q, got %+v", path, key, j)
			}
			if strings.ContainsAny(key, "\n\r\t\x00") && j.Error == "" {
				t.Errorf("%s: want an error for %q, got %+v", path, key, j)
			}
		}
	}
}

// TestR45BadRequestsAreSystemErrors sends what is no request that can be
// decided.
func TestR45BadRequestsAreSystemErrors(t *testing.T) {
	good := string(keys(t, "a:1"))
	cases := map[string]struct {
		reason, method, body string
		status               int
		words                string
	}{
		"Get":            {"another method", http.MethodGet, "", http.StatusMethodNotAllowed, "expected method POST"},
		"Put":            {"another method", http.MethodPut, good, http.StatusMethodNotAllowed, "expected method POST"},
		"Empty":          {"no body", http.MethodPost, "", http.StatusBadRequest, "in JSON"},
		"NotJSON":        {"another format", http.MethodPost, "keys: [a]", http.StatusBadRequest, "in JSON"},
		"Cut":            {"half a document", http.MethodPost, good[:len(good)/2], http.StatusBadRequest, "in JSON"},
		"Trailing":       {"two documents", http.MethodPost, good + good, http.StatusBadRequest, "in JSON"},
		"Array":          {"not an object", http.MethodPost, "[" + good + "]", http.StatusBadRequest, "in JSON"},
		"Null":           {"nothing", http.MethodPost, "null", http.StatusBadRequest, "expected a ProviderRequest"},
		"NotUTF8":        {"a key that cannot be repeated", http.MethodPost, strings.Replace(good, "a:1", "a\xff:1", 1), http.StatusBadRequest, "UTF-8"},
		"R4Twice":        {"two lists of keys", http.MethodPost, strings.Replace(good, `"request":`, `"request":{"keys":["b:1"]},"request":`, 1), http.StatusBadRequest, "in JSON"},
		"R4Case":         {"names are matched by case", http.MethodPost, strings.Replace(good, `"keys"`, `"Keys"`, 1), http.StatusBadRequest, "expected keys"},
		"Deep":           {"nesting", http.MethodPost, `{"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, http.StatusBadRequest, "in JSON"},
		"NoAPIVersion":   {"a field is missing", http.MethodPost, `{"kind":"ProviderRequest","request":{"keys":["a:1"]}}`, http.StatusBadRequest, "expected a ProviderRequest"},
		"NoKind":         {"a field is missing", http.MethodPost, `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","request":{"keys":["a:1"]}}`, http.StatusBadRequest, "expected a ProviderRequest"},
		"NextVersion":    {"an unknown version", http.MethodPost, strings.Replace(good, "v1beta1", "v2", 1), http.StatusBadRequest, `"externaldata.gatekeeper.sh/v2"`},
		"OtherKind":      {"an unknown kind", http.MethodPost, strings.Replace(good, "ProviderRequest", "ProviderResponse", 1), http.StatusBadRequest, `"ProviderResponse"`},
		"NoRequest":      {"a field is missing", http.MethodPost, `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest"}`, http.StatusBadRequest, "expected keys"},
		"NoKeys":         {"a field is missing", http.MethodPost, `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{}}`, http.StatusBadRequest, "expected keys"},
		"R48EmptyKeys":   {"an empty set", http.MethodPost, strings.Replace(good, `"a:1"`, "", 1), http.StatusBadRequest, "expected keys"},
		"KeysNoStrings":  {"another type", http.MethodPost, strings.Replace(good, `"a:1"`, "7", 1), http.StatusBadRequest, "in JSON"},
		"KeysNoList":     {"another type", http.MethodPost, strings.Replace(good, `["a:1"]`, `"a:1"`, 1), http.StatusBadRequest, "in JSON"},
		"TenThousand":    {"more keys than any object has images", http.MethodPost, string(keys(t, make([]string, 10000)...)), http.StatusBadRequest, "at most 1024 keys, got 10000"},
		"R1TooLarge":     {"more than is read", http.MethodPost, strings.Replace(good, "a:1", strings.Repeat("x", 8<<20), 1), http.StatusRequestEntityTooLarge, "at most 7 MiB"},
		"R1UnknownField": {"a large field that is skipped", http.MethodPost, strings.Replace(good, `"kind"`, `"x":"`+strings.Repeat("x", 8<<20)+`","kind"`, 1), http.StatusRequestEntityTooLarge, "at most 7 MiB"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, never(t))
			for _, path := range providerPaths() {
				w := httptest.NewRecorder()
				s.Doors().ServeHTTP(w, httptest.NewRequest(tc.method, path, strings.NewReader(tc.body)))
				if w.Code != tc.status {
					t.Errorf("%s: %s: want %d, got %d: %s", path, tc.reason, tc.status, w.Code, w.Body)
				}
				wantSystemError(t, provided(t, w), tc.words)
			}
		})
	}
}

// TestAsMuchAsIsRead is at the bounds, in the older version, and chunked.
func TestAsMuchAsIsRead(t *testing.T) {
	batch := make([]string, 1024)
	for i := range batch {
		batch[i] = fmt.Sprintf("ghcr.io/acme/app%d:allowed", i)
	}
	body := bytes.Replace(keys(t, batch...), []byte("v1beta1"), []byte("v1alpha1"), 1)
	for _, path := range providerPaths() {
		r := httptest.NewRequest(http.MethodPost, path, io.MultiReader(bytes.NewReader(body))) // of unknown length
		w := httptest.NewRecorder()
		newServer(t, each(byTag)).Doors().ServeHTTP(w, r)
		a := provided(t, w)
		if w.Code != http.StatusOK || len(a.Response.Items) != len(batch) || a.APIVersion != "externaldata.gatekeeper.sh/v1alpha1" {
			t.Errorf("%s: want %d items of v1alpha1, got %d: %.300s", path, len(batch), w.Code, w.Body)
		}
	}
}

// TestR45DoorsAnswerBeforeGatekeeperGivesUp asks a decider that is deaf to its
// context.
func TestR45DoorsAnswerBeforeGatekeeperGivesUp(t *testing.T) {
	cases := map[string]struct {
		reason          string
		query           string
		own             time.Duration
		atMost, atLeast time.Duration
	}{
		"Default": {"below the 3 s of Gatekeeper's webhook", "", 0, 2900 * time.Millisecond, 2400 * time.Millisecond},
		"Own":     {"as the operator says", "", 800 * time.Millisecond, 800 * time.Millisecond, 700 * time.Millisecond},
		"Asked":   {"as the Provider's URL says", "?timeout=1s", 0, time.Second, 850 * time.Millisecond},
		"Longer":  {"never longer than the operator says", "?timeout=30s", time.Second, time.Second, 850 * time.Millisecond},
		"TooLong": {"never longer than Kubernetes waits", "", time.Hour, 30 * time.Second, 29 * time.Second},
		"NoTime":  {"what is no duration is not heard", "?timeout=1", time.Second, time.Second, 850 * time.Millisecond},
	}
	for name, tc := range cases {
		for _, path := range providerPaths() {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision {
						<-release
						return engine.Decision{}
					}), func(o *server.Options) { o.GatekeeperTimeout = tc.own })
					began := time.Now()
					// Two namespaces: both hang, and neither waits for the other.
					a := provide(t, s, path+tc.query, "ghcr.io/acme/app:1", "[shop]ghcr.io/acme/app:1")
					if took := time.Since(began); took >= tc.atMost || took < tc.atLeast {
						t.Errorf("%s: want an answer in %s to %s, got %s", tc.reason, tc.atLeast, tc.atMost, took)
					}
					close(release)
					synctest.Wait()
					if !strings.HasSuffix(path, "mutate") {
						wantSystemError(t, a, "2 of 2 images could not be decided", "expected a decision before the deadline")
						return
					}
					for _, i := range a.Response.Items {
						if i.Error == "" || i.Value != nil {
							t.Errorf("want an error, got %+v", i)
						}
					}
				})
			})
		}
	}
}

func TestR45DoorsWithTooManyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
			<-release
			return each(byTag)(context.WithoutCancel(ctx), r)
		}))
		var hanging sync.WaitGroup
		for range 512 {
			hanging.Go(func() { provide(t, s, ownValidate, "a:allowed") })
		}
		hanging.Wait()
		wantSystemError(t, provide(t, s, ownValidate, "a:allowed"), "too many requests")
		close(release)
		synctest.Wait()
		if a := provide(t, s, ownValidate, "a:allowed"); len(a.Response.Items) != 1 {
			t.Errorf("want it served again, got %+v", a)
		}
	})
}

// TestR48NothingLeadsToVerified has the decider fail in every way.
func TestR48NothingLeadsToVerified(t *testing.T) {
	cases := map[string]struct {
		reason string
		decide func(context.Context, engine.Request) engine.Decision
		words  string
		keys   bool // the fault is one key's: a mutator answers the others
	}{
		"Panic": {"a decider that panics", func(context.Context, engine.Request) engine.Decision { panic(errBoom) }, "internal error", false},
		"Nil":   {"a decision over no images", func(context.Context, engine.Request) engine.Decision { return engine.Decision{} }, "a decision for each image", false},
		"TooFew": {"one image is missing", func(ctx context.Context, r engine.Request) engine.Decision {
			d := each(allow)(ctx, r)
			d.Images = d.Images[1:]
			return d
		}, "a decision for each image", false},
		"Others": {"the decisions are about others", func(ctx context.Context, r engine.Request) engine.Decision {
			d := each(allow)(ctx, r)
			d.Images[0].Image = workload.Image{Ref: "other"}
			return d
		}, "a decision for each image", false},
		"Zero": {"decisions that nobody filled in", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			return engine.ImageDecision{Image: d.Image}
		}), "a reason for the decision", true},
		"NoPolicies": {"allowed by nobody", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			d.Outcome = policy.Allowed
			return d
		}), "could not be decided", true},
		"Audit": {"allowed by a policy that only reports", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			return by(d, policy.Audit, policy.Allowed)
		}), "could not be decided", true},
		"UnknownOutcome": {"an outcome of a later version", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			d = by(d, policy.Enforce, policy.Allowed)
			d.Outcome = policy.Outcome(77)
			return d
		}), "could not be decided", true},
		"PanicInRendering": {"a problem that is nil", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			return by(d, policy.Enforce, policy.Undecided, nil)
		}), "internal error", false},
		"NotReady": {"no policies", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			d.Problem = &evidence.Problem{Reason: evidence.PolicyNotReady, Expected: "policies to decide by", Got: "none loaded yet"}
			return d
		}), "none loaded yet", true},
	}
	for name, tc := range cases {
		for _, path := range providerPaths() {
			t.Run(name+path, func(t *testing.T) {
				broken := true
				s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
					if broken {
						return tc.decide(ctx, r)
					}
					return each(byTag)(ctx, r)
				}))
				a := provide(t, s, path, "ghcr.io/acme/a:allowed", "ghcr.io/acme/b:allowed")
				if tc.keys && strings.HasSuffix(path, "mutate") {
					for _, i := range a.Response.Items {
						if !strings.Contains(i.Error, tc.words) || i.Value != nil {
							t.Errorf("%s: want an error, got %+v", tc.reason, i)
						}
					}
				} else {
					wantSystemError(t, a, tc.words)
				}
				broken = false // and the server goes on
				if a := provide(t, s, path, "ghcr.io/acme/a:allowed"); a.Response.SystemError != "" || a.Response.Items[0].Error != "" {
					t.Errorf("want it to go on, got %+v", a)
				}
			})
		}
	}
}

func TestR18ProvidersAreNotReady(t *testing.T) {
	s := newServer(t, never(t), func(o *server.Options) { o.Ready = func() error { return errors.New("no policies loaded yet") } })
	for _, path := range providerPaths() {
		w := post(s.Doors(), path, keys(t, "a:1"))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("want 503, got %d", w.Code)
		}
		wantSystemError(t, provided(t, w), "not ready: no policies loaded yet")
	}
}

// TestTraceID takes the caller's trace, or makes one.
func TestTraceID(t *testing.T) {
	const given = "0af7651916cd43dd8448eb211c80319c"
	s := newServer(t, each(byTag))
	seen := map[string]bool{}
	for header, taken := range map[string]bool{
		"00-" + given + "-b7ad6b7169203331-01": true,
		"":                                     false,
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01": false,
		"00-" + strings.ToUpper(given) + "-b7ad6b7169203331-01":  false,
		"00-" + given:              false,
		"00-" + given[1:] + "-x-y": false,
		"\u2028-<script>-a-b":      false,
	} {
		r := httptest.NewRequest(http.MethodPost, ratifyV1, bytes.NewReader(keys(t, "a:denied")))
		r.Header.Set("Traceparent", header)
		w := httptest.NewRecorder()
		s.Doors().ServeHTTP(w, r)
		id := provided(t, w).Response.Items[0].Value.(map[string]any)["traceID"].(string)
		if (id == given) != taken || len(id) != 32 || seen[id] {
			t.Errorf("%q: want taken=%t, got %q", header, taken, id)
		}
		seen[id] = true
	}
}

// TestR47ProviderMetrics counts by door, in labels that nobody chooses.
func TestR47ProviderMetrics(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, each(byTag), func(o *server.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	provide(t, s, ownValidate, "ghcr.io/acme/app:denied", "ghcr.io/acme/app:other", "evil\n")
	provide(t, s, ratifyV2, "ghcr.io/acme/app:undecided")
	provide(t, s, ownMutate, "ghcr.io/acme/app:allowed", "ghcr.io/acme/app@"+digest)
	all := ours(scrape(t, s))
	for _, sample := range []string{
		`bonafide_decisions_total{door="gatekeeper-validate",outcome="denied",reason="NotSigned"} 1`,
		`bonafide_decisions_total{door="gatekeeper-validate",outcome="denied",reason="MalformedReference"} 1`,
		`bonafide_decisions_total{door="gatekeeper-validate",outcome="unmatched",reason="NoPolicy"} 1`,
		`bonafide_decisions_total{door="ratify-v2-verify",outcome="undecided",reason="RegistryTimeout"} 1`,
		`bonafide_decisions_total{door="gatekeeper-mutate",outcome="allowed",reason=""} 1`,
		`bonafide_external_data_seconds_count{answered="true",door="gatekeeper-validate"} 1`,
		`bonafide_external_data_seconds_count{answered="false",door="ratify-v2-verify"} 1`,
	} {
		if !strings.Contains(all, sample+"\n") {
			t.Errorf("want %q in\n%s", sample, all)
		}
	}
	if strings.Contains(all, "evil") {
		t.Errorf("want no label that others choose, got\n%s", all)
	}
	if !strings.Contains(log.String(), "door=gatekeeper-validate") || !strings.Contains(log.String(), "expected a signature by key A") || strings.Contains(log.String(), "evil\n") {
		t.Errorf("want the refusal in the log, got %s", &log)
	}
}

func TestGatekeeperTimeoutIsPositive(t *testing.T) {
	_, err := server.New(server.Options{
		Decider: never(t), Now: time.Now, Ready: func() error { return nil },
		GetCertificate:    func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errBoom },
		GatekeeperTimeout: -time.Second,
	})
	if err == nil {
		t.Error("want an error")
	}
}

// However many namespaces a batch names, they share the caller's time.
func TestR45ManyNamespacesShareTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision {
			<-release
			return engine.Decision{}
		}), func(o *server.Options) { o.GatekeeperTimeout = time.Second })
		var keys []string
		for i := range 500 {
			keys = append(keys, fmt.Sprintf("[ns-%d]ghcr.io/acme/app:1", i))
		}
		began := time.Now()
		a := provide(t, s, ownMutate, keys...)
		if took := time.Since(began); took >= time.Second {
			t.Errorf("want an answer within a second, got one after %s", took)
		}
		for _, i := range a.Response.Items {
			if i.Error == "" || i.Value != nil {
				t.Errorf("want an error, got %+v", i)
			}
		}
		if len(a.Response.Items) != len(keys) {
			t.Errorf("items: want %d, got %d", len(keys), len(a.Response.Items))
		}
		close(release)
		synctest.Wait()
	})
}

// A container runtime reads names that we refuse. Some templates look at no
// error, so that these have a value.
func TestR45NamesThatARuntimeReadsHaveAValue(t *testing.T) {
	s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision { return engine.Decision{} }))
	hex := strings.Repeat("a", 64)
	for _, path := range []string{ownValidate, "/ratify/gatekeeper/v1/verify", "/ratify/gatekeeper/v2/verify"} {
		a := provide(t, s, path, "sha256:"+hex, hex, "my_registry.example/app:v1", "no image at all", "A\nB")
		for i, item := range a.Response.Items {
			value, _ := item.Value.(map[string]any)
			if readable := i < 3; readable && (item.Error != "" || value["isSuccess"] != false || value["succeeded"] != false) {
				t.Errorf("%s: %q: want a value that denies, got %+v", path, item.Key, item)
			} else if !readable && (item.Error == "" || item.Value != nil) {
				t.Errorf("%s: %q: want an error, got %+v", path, item.Key, item)
			}
		}
	}
}
