package server_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

const policyDoor = "/admission/policies"

// formsFunc is a function that is a [server.PolicyForms].
type formsFunc func(object map[string]any) ([]policy.Note, error)

func (f formsFunc) Form(object map[string]any) ([]policy.Note, error) { return f(object) }

// realForms are those that the command has.
func realForms(t testing.TB) server.PolicyForms {
	t.Helper()
	makers, err := policyset.FormSigners(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return native.New(makers, native.Options{ClusterAvailable: true, Now: time.Now})
}

func forms(f server.PolicyForms) func(*server.Options) {
	return func(o *server.Options) { o.Policies = f }
}

// aPolicy is a spec whose key is in a Secret, which nobody looks at.
const aPolicy = `{"images":["ghcr.io/acme/**"],"signers":[{"name":"a","sigstore":{"key":{"secretRef":{"namespace":"vault","name":"keys"}},"transparencyLog":"Ignored"}}],` +
	`"require":[{"signature":{"anyOf":["a"]}}]}`

// aTypo is the same with a name that is nearly one.
var aTypo = strings.Replace(aPolicy, `"images"`, `"images":["x"],"imagse"`, 1)

// written is a review of an object of our own kinds.
func written(t testing.TB, operation, spec, old string, edits ...edit) []byte {
	t.Helper()
	object := func(spec string) any {
		if spec == "" {
			return nil
		}
		var decoded any
		if err := json.Unmarshal([]byte(spec), &decoded); err != nil {
			t.Fatal(err)
		}
		return map[string]any{
			"apiVersion": "bonafide.dev/v1alpha1", "kind": "ClusterVerificationPolicy", "spec": decoded,
			"metadata": map[string]any{"name": "release", "uid": "7", "creationTimestamp": "2026-03-01T11:00:00Z"},
		}
	}
	review := map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": map[string]any{
		"uid": "1", "operation": operation, "name": "release", "object": object(spec), "oldObject": object(old),
		"kind":     map[string]any{"group": "bonafide.dev", "version": "v1alpha1", "kind": "ClusterVerificationPolicy"},
		"userInfo": map[string]any{"username": "alice"},
	}}
	for _, e := range edits {
		e(review)
	}
	raw, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestR19TypoIsRefusedWhenItIsWritten and the message is what the loader would
// say.
func TestR19TypoIsRefusedWhenItIsWritten(t *testing.T) {
	s := newServer(t, never(t), forms(realForms(t)), func(o *server.Options) {
		o.Ready = func() error { return errBoom } // no policies are needed to read one
	})
	r := ask(t, s, policyDoor, written(t, "CREATE", aTypo, ""))
	wantDenied(t, r, "bonafide: this ClusterVerificationPolicy is not valid", `spec.imagse: unknown field; did you mean "images"?`)
	if r.Result.Code != http.StatusUnprocessableEntity || r.Result.Reason != "Invalid" {
		t.Errorf("want it invalid rather than forbidden, got %d %s", r.Result.Code, r.Result.Reason)
	}
	r = ask(t, s, policyDoor, written(t, "CREATE", aPolicy, ""))
	wantAllowed(t, r)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "spec.signers[0].sigstore.transparencyLog: Ignored accepts") {
		t.Errorf("want to be told of the weakening, got %q", r.Warnings)
	}
}

// TestPolicyDoorPasses what no author has written, whatever the rest of the
// object says: else an object of another version could not even be deleted.
func TestPolicyDoorPasses(t *testing.T) {
	kind := func(r map[string]any) map[string]any { return request(r)["kind"].(map[string]any) }
	cases := map[string]struct {
		reason string
		body   []byte
		passes bool
	}{
		"Labels":         {"the spec is as it was", written(t, "UPDATE", aTypo, aTypo, func(r map[string]any) { object(r)["metadata"] = map[string]any{"labels": 1} }), true},
		"Status":         {"nor is a status", written(t, "UPDATE", aTypo, aTypo, func(r map[string]any) { object(r)["status"] = map[string]any{"x": 1} }), true},
		"SubResource":    {"as its own resource", written(t, "UPDATE", aTypo, aPolicy, set("subResource", "approval")), true},
		"Delete":         {"nothing is written", written(t, "DELETE", "", aTypo), true},
		"Mended":         {"the typo goes", written(t, "UPDATE", aPolicy, aTypo), true},
		"Broken":         {"the typo comes", written(t, "UPDATE", aTypo, aPolicy), false},
		"BrokenBeside":   {"outside of the spec", written(t, "UPDATE", aPolicy, aPolicy, func(r map[string]any) { object(r)["spce"] = 1 }), false},
		"FromBeside":     {"outside of the spec", written(t, "UPDATE", aTypo, aTypo, func(r map[string]any) { request(r)["oldObject"].(map[string]any)["spce"] = 1 }), false},
		"NoOldObject":    {"nothing is known to be unchanged", written(t, "UPDATE", aTypo, ""), false},
		"CreateOverSame": {"whatever comes beside a creation", written(t, "CREATE", aTypo, aTypo), false},
		"NoObject":       {"a creation of nothing", written(t, "CREATE", "", ""), false},
		"EmptyObjects":   {"nothing is the same as nothing", written(t, "UPDATE", "", "", set("object", map[string]any{}), set("oldObject", map[string]any{})), false},
		"AnotherKind":    {"the request names another", written(t, "CREATE", aPolicy, "", func(r map[string]any) { kind(r)["kind"] = "ImageDenyList" }), false},
		"AnotherVersion": {"the request names another", written(t, "CREATE", aPolicy, "", func(r map[string]any) { kind(r)["version"] = "v2" }), false},
		"AnotherGroup":   {"the request names another", written(t, "CREATE", aPolicy, "", func(r map[string]any) { kind(r)["group"] = "example.com" }), false},
		"UnknownKind": {"that nobody here reads", written(t, "CREATE", aPolicy, "", func(r map[string]any) {
			object(r)["kind"], kind(r)["kind"] = "Other", "Other"
		}), false},
	}
	s := newServer(t, never(t), forms(realForms(t)))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if r := ask(t, s, policyDoor, tc.body); r.Allowed != tc.passes {
				t.Errorf("%s: want allowed=%t, got %v", tc.reason, tc.passes, r.Result)
			}
		})
	}
}

// TestPolicyDoorSaysEverythingWithinBounds: each mistake has its line, and none
// forges another.
func TestPolicyDoorSaysEverythingWithinBounds(t *testing.T) {
	many := make([]error, 100)
	for i := range many {
		many[i] = fmt.Errorf("spec.field%d: unknown\nfield: %s", i, strings.Repeat("x", 2000))
	}
	var log bytes.Buffer
	s := newServer(t, never(t), forms(formsFunc(func(map[string]any) ([]policy.Note, error) { return nil, errors.Join(many...) })), func(o *server.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	r := ask(t, s, policyDoor, written(t, "CREATE", aPolicy, ""))
	wantDenied(t, r, "spec.field0: unknown\uFFFDfield", "spec.field1:", "(more is in the log)")
	if len(r.Result.Message) > 5<<10 {
		t.Errorf("want a bounded message, got %d bytes", len(r.Result.Message))
	}
	if got := log.String(); !strings.Contains(got, "object refused") || !strings.Contains(got, "door=policies") || !strings.Contains(got, "name=release") || len(got) > 2<<10 {
		t.Errorf("want a line in the log, got %s", got)
	}
	log.Reset()
	wantDenied(t, ask(t, s, policyDoor, written(t, "CREATE", aPolicy, "", set("dryRun", true))))
	if log.Len() > 0 {
		t.Errorf("R47: want nothing recorded of a dry run, got %s", &log)
	}
}

func TestPolicyDoorWarnsWithinBounds(t *testing.T) {
	notes := make([]policy.Note, 50)
	for i := range notes {
		notes[i] = policy.Note{Path: "spec.x", Text: strings.Repeat("y", 1000) + "\n", Weakening: true}
	}
	s := newServer(t, never(t), forms(formsFunc(func(map[string]any) ([]policy.Note, error) { return notes, nil })))
	r := ask(t, s, policyDoor, written(t, "CREATE", aPolicy, ""))
	wantAllowed(t, r)
	if len(r.Warnings) != 13 || len(r.Warnings[0]) > 256 || !strings.HasPrefix(r.Warnings[0], "bonafide: spec.x: y") {
		t.Errorf("want few and short warnings, got %d: %q", len(r.Warnings), r.Warnings)
	}
}

// infoPanics is a handler of a logger that panics over what is no error.
type infoPanics struct{ slog.Handler }

func (infoPanics) Enabled(_ context.Context, l slog.Level) bool {
	if l <= slog.LevelInfo {
		panic("boom")
	}
	return false
}

// TestR48PolicyDoorAnswersNothingThatItDoesNotKnow: what goes wrong with us is
// never "allowed". The registration says what follows.
func TestR48PolicyDoorAnswersNothingThatItDoesNotKnow(t *testing.T) {
	body := written(t, "CREATE", aPolicy, "")
	panics := formsFunc(func(map[string]any) ([]policy.Note, error) { panic("boom") })
	var log bytes.Buffer
	s := newServer(t, never(t), forms(panics), func(o *server.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	if w := post(s.Doors(), policyDoor, body); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("panic: want 500 and no more, got %d: %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "boom") {
		t.Errorf("want the panic in the log, got %s", &log)
	}
	broken := newServer(t, never(t), forms(realForms(t)), func(o *server.Options) { o.Logger = slog.New(infoPanics{slog.DiscardHandler}) })
	if w := post(broken.Doors(), policyDoor, written(t, "CREATE", aTypo, "")); w.Code != http.StatusInternalServerError {
		t.Errorf("panic elsewhere: want 500, got %d: %s", w.Code, w.Body)
	}
	if w := post(s.Doors(), policyDoor, []byte("{")); w.Code != http.StatusBadRequest {
		t.Errorf("no review: want 400, got %d: %s", w.Code, w.Body)
	}
	if w := post(newServer(t, never(t)).Doors(), policyDoor, body); w.Code != http.StatusNotFound {
		t.Errorf("nobody to ask: want 404, got %d: %s", w.Code, w.Body)
	}
}

// TestR45PolicyDoorKeepsItsPlacesUntilTheyEnd: what takes too long is not
// answered, and takes no more than its share of the processor.
func TestR45PolicyDoorKeepsItsPlacesUntilTheyEnd(t *testing.T) {
	body := written(t, "CREATE", aPolicy, "")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		under, most := 0, 0
		s := newServer(t, each(allow), forms(formsFunc(func(map[string]any) ([]policy.Note, error) {
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			<-release
			mu.Lock()
			under--
			mu.Unlock()
			return nil, nil
		})))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				began := time.Now()
				if w := post(s.Doors(), policyDoor+"?timeout=5s", body); w.Code != http.StatusServiceUnavailable {
					t.Errorf("want 503, got %d: %s", w.Code, w.Body)
				}
				if took := time.Since(began); took >= 5*time.Second || took < 4*time.Second {
					t.Errorf("want an answer in just less than 5 s, got %s", took)
				}
			})
		}
		all.Wait()
		wantAllowed(t, ask(t, s, validateDoor, recorded(t, "pod-create"))) // decisions go on
		close(release)
		synctest.Wait()
		wantAllowed(t, ask(t, s, policyDoor, body)) // every place was given back
		if most != 1 {
			t.Errorf("want one at a time, got %d", most)
		}
	})
}

func TestObserveOnlyRefusesNoPolicy(t *testing.T) {
	s := newServer(t, never(t), forms(realForms(t)), observing)
	wantObserved(t, ask(t, s, policyDoor, written(t, "CREATE", aTypo, "")), wouldDeny+"spec.imagse: unknown field")
}

// TestPolicyDoorIsForTheAPIServer: the clients of the admission paths are its
// clients.
func TestPolicyDoorIsForTheAPIServer(t *testing.T) {
	r := start(t, never(t), forms(realForms(t)), func(o *server.Options) { o.AdmissionClients = x509.NewCertPool })
	response := r.post(t, policyDoor, written(t, "CREATE", aPolicy, ""))
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("want 401, got %d", response.StatusCode)
	}
}

// FuzzPolicyReview sends bytes to the policies' door: nothing panics, and what is
// allowed to be created or changed is right by itself.
func FuzzPolicyReview(f *testing.F) {
	f.Add(written(f, "CREATE", aPolicy, ""))
	f.Add(written(f, "CREATE", aTypo, ""))
	f.Add(written(f, "UPDATE", aPolicy, aTypo))
	f.Add(written(f, "DELETE", "", aTypo))
	ruling := func(kind string) edit {
		return func(r map[string]any) {
			object(r)["kind"], request(r)["kind"].(map[string]any)["kind"] = kind, kind
		}
	}
	f.Add(written(f, "CREATE", `{"images":["**"],"reason":"r"}`, "", ruling("ImageDenyList")))
	f.Add(written(f, "CREATE", `{"images":["a"],"reason":"r","expires":"2026-03-02T00:00:00Z","match":{"workloads":[{"kind":"Pod","name":"a*"}]}}`, "", ruling("VerificationException")))
	f.Add(written(f, "CREATE", strings.Replace(aPolicy, `"key":{"secretRef":{"namespace":"vault","name":"keys"}}`, `"keyless":{"issuerRegExp":"(a|b)*","subject":"s"}`, 1), ""))
	f.Add([]byte(`{`))
	judge := realForms(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var log bytes.Buffer
		wrong := false
		s := newServer(t, never(t), forms(formsFunc(func(object map[string]any) ([]policy.Note, error) {
			notes, err := judge.Form(object)
			wrong = err != nil
			return notes, err
		})), func(o *server.Options) {
			o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
		})
		w := post(s.Doors(), policyDoor, body)
		if log.Len() > 0 || w.Code >= http.StatusInternalServerError && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("want no panic, got %d %s and %s", w.Code, w.Body, &log)
		}
		if w.Code != http.StatusOK {
			return
		}
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil || review.Response == nil {
			t.Fatalf("read the answer: %v in %s", err, w.Body)
		}
		if review.Response.Allowed && wrong || len(review.Response.Patch) > 0 {
			t.Fatalf("want it refused, got %s", w.Body)
		}
	})
}

// TestR45WritersOfPoliciesLeaveTheOtherDoorsTheirPlaces: however many objects are
// written at once, and however long one takes.
func TestR45WritersOfPoliciesLeaveTheOtherDoorsTheirPlaces(t *testing.T) {
	const writers, held = 600, 32
	looking := make(chan struct{})
	s := newServer(t, never(t), forms(formsFunc(func(map[string]any) ([]policy.Note, error) { <-looking; return nil, nil })))
	body := written(t, "CREATE", aPolicy, "")
	answers := make(chan int, writers)
	for range writers {
		go func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, policyDoor+"?timeout=30s", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			s.Doors().ServeHTTP(w, r)
			answers <- w.Code
		}()
	}
	for range writers - held {
		if got := <-answers; got != http.StatusServiceUnavailable {
			t.Fatalf("want writers beyond %d sent away, got %d", held, got)
		}
	}
	if r := ask(t, s, validateDoor, recorded(t, "pod-delete")); !r.Allowed {
		t.Errorf("want a review of a Pod answered meanwhile, got %+v", r)
	}
	close(looking)
	for range held {
		if got := <-answers; got != http.StatusOK {
			t.Errorf("want those who waited answered, got %d", got)
		}
	}
}
