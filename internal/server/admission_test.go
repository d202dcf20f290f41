package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden compares whole answers, byte for byte.
func TestGolden(t *testing.T) {
	mixed := func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		switch d.Image.Name {
		case "app":
			nested := &evidence.Problem{Reason: evidence.SignerMismatch, Path: "cosign signature[0]", Expected: "key A", Got: "key B"}
			timeout := &evidence.Problem{Reason: evidence.RegistryTimeout, Host: "registry.example", Err: errBoom}
			d = by(d, policy.Enforce, policy.Denied, nested)
			d.Policies[0].Finding.Children = []policy.Finding{{Path: "require[0].anyOf[0]", Expected: "a signature by key A", Problems: []*evidence.Problem{nested}}}
			d = by(d, policy.Enforce, policy.Undecided, timeout)
			d.Outcome = policy.Denied
			return d
		case "init":
			return by(d, policy.Warn, policy.Denied, notSigned)
		}
		d.Outcome = policy.Unmatched
		d.Problem = &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image", Got: "none"}
		return d
	}
	late := func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Problem = &evidence.Problem{Reason: evidence.DeadlineExceeded, Expected: "an answer before the deadline", Got: "none yet"}
		return d
	}
	cases := map[string]struct {
		reason   string
		decide   func(engine.Request, engine.ImageDecision) engine.ImageDecision
		path     string
		recorded string
	}{
		"mutate-pins":         {"every place of an image is patched", pin, mutateDoor, "pod-create"},
		"mutate-update":       {"an update patches the image that changed", pin, mutateDoor, "pod-update-image"},
		"mutate-mixed":        {"one refused image refuses the Pod, at the mutating door already", mixed, mutateDoor, "pod-create"},
		"validate-mixed":      {"refusals and warnings in order", mixed, validateDoor, "pod-create"},
		"validate-not-pinned": {"the policy pins and nobody did", pin, validateDoor, "pod-create"},
		"validate-allowed":    {"nothing to say", allow, validateDoor, "pod-create"},
		"validate-undecided":  {"undecided says so", late, validateDoor, "pod-create"},
		"validate-ephemeral":  {"the subresource is decided", deny, validateDoor, "pod-ephemeralcontainers"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, each(tc.decide))
			w := post(s.Doors(), tc.path, recorded(t, tc.recorded))
			var got bytes.Buffer
			if err := json.Indent(&got, w.Body.Bytes(), "", "  "); err != nil {
				t.Fatalf("%s: %v in %s", tc.reason, err, w.Body)
			}
			if response := read(t, w.Result()); len(response.Patch) > 0 {
				fmt.Fprintf(&got, "\npatch: %s", response.Patch)
			}
			got.WriteByte('\n')
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestR39ValidatingDoorRefusesTag(t *testing.T) {
	s := newServer(t, each(pin))
	wantDenied(t, ask(t, s, validateDoor, recorded(t, "pod-create")), "registry.example/app:v1: signed: expected an image named by digest, got a tag")
	wantMetric(t, s, `bonafide_decisions_total{door="validate",outcome="denied",reason="NotPinned"}`, true)

	pinned := func(r map[string]any) {
		spec := object(r)["spec"].(map[string]any)
		for _, list := range []string{"containers", "initContainers"} {
			c := spec[list].([]any)[0].(map[string]any)
			c["image"] = c["image"].(string) + "@" + digest
		}
		spec["volumes"].([]any)[0].(map[string]any)["image"].(map[string]any)["reference"] = "registry.example/model@" + digest
	}
	wantAllowed(t, ask(t, s, validateDoor, recorded(t, "pod-create", pinned)))
}

func TestR39ValidatingDoorDecidesPinnedImagesAnew(t *testing.T) {
	var asked []string
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		asked = append(asked, d.Image.Ref)
		return deny(r, d)
	}))
	pinned := func(r map[string]any) {
		object(r)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)["image"] = "registry.example/app:v1@" + digest
		object(r)["metadata"].(map[string]any)["annotations"] = map[string]any{"bonafide.dev/verified": "true"}
	}
	wantDenied(t, ask(t, s, validateDoor, recorded(t, "pod-create", pinned)), "registry.example/app:v1@"+digest)
	if len(asked) != 3 {
		t.Errorf("want 3 images decided, got %q", asked)
	}
}

func TestR40WarnAndAuditNeverPatch(t *testing.T) {
	for _, mode := range []policy.Mode{policy.Warn, policy.Audit} {
		s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			return by(d, mode, policy.Denied, notSigned)
		}))
		response := ask(t, s, mutateDoor, recorded(t, "pod-create"))
		wantAllowed(t, response)
		if len(response.Patch) > 0 || response.PatchType != nil {
			t.Errorf("%s: want no patch, got %s", mode, response.Patch)
		}
		if warns := len(response.Warnings) > 0; warns != (mode == policy.Warn) {
			t.Errorf("%s: got warnings %q", mode, response.Warnings)
		}
	}
	// A new spelling without a policy that pins is no reason to patch either.
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = pin(r, d)
		d.Pins = false
		return d
	}))
	if response := ask(t, s, mutateDoor, recorded(t, "pod-create")); len(response.Patch) > 0 {
		t.Errorf("want no patch, got %s", response.Patch)
	}
}

func TestR42UpdateDecidesWhatChanged(t *testing.T) {
	oldObject := func(change func(map[string]any)) edit {
		return func(r map[string]any) { change(request(r)["oldObject"].(map[string]any)) }
	}
	owner := func(r map[string]any) {
		meta := object(r)["metadata"].(map[string]any)
		meta["ownerReferences"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "1", "controller": true}}
		meta["annotations"] = map[string]any{"bonafide.dev/skip": "true"}
	}
	cases := map[string]struct {
		reason string
		body   []byte
		want   int // images decided
	}{
		"NothingChanged":     {"labels alone are free", recorded(t, "pod-update-labels"), 0},
		"OneImage":           {"the others were decided before", recorded(t, "pod-update-image"), 1},
		"Owner":              {"an owner and an annotation free nothing", recorded(t, "pod-update-image", owner), 1},
		"OldObjectMissing":   {"nothing is known to be stored", recorded(t, "pod-update-labels", set("oldObject", nil)), 3},
		"OldObjectMalformed": {"nothing is known to be stored", recorded(t, "pod-update-labels", set("oldObject", "x")), 3},
		"OldVolume": {"an image volume is compared too", recorded(t, "pod-update-labels", oldObject(func(o map[string]any) {
			o["spec"].(map[string]any)["volumes"].([]any)[0].(map[string]any)["image"].(map[string]any)["reference"] = "registry.example/model:v0"
		})), 1},
		"Create": {"a creation is never free", recorded(t, "pod-update-labels", set("operation", "CREATE")), 3},
	}
	for name, tc := range cases {
		for _, path := range []string{mutateDoor, validateDoor} {
			t.Run(name+path, func(t *testing.T) {
				got := 0
				s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
					got = len(r.Images)
					return deny(r, d)
				}))
				response := ask(t, s, path, tc.body)
				if got != tc.want || response.Allowed != (tc.want == 0) {
					t.Errorf("%s: want %d images decided, got %d, allowed=%t", tc.reason, tc.want, got, response.Allowed)
				}
			})
		}
	}
}

func TestR43UnreadableObjectIsDenied(t *testing.T) {
	widget := map[string]any{"group": "example.dev", "version": "v1", "kind": "Widget"}
	cases := map[string]struct {
		reason string
		edits  []edit
		want   string
	}{
		"UnknownKind": {"a kind that the door is registered for by mistake", []edit{set("kind", widget), func(r map[string]any) {
			object(r)["apiVersion"], object(r)["kind"] = "example.dev/v1", "Widget"
		}}, "example.dev/v1/Widget"},
		"NoObject":    {"nothing to read", []edit{set("object", nil)}, ""},
		"NotAnObject": {"JSON, but no object", []edit{set("object", []any{})}, ""},
		"SpecIsText":  {"the Pod has no spec to read", []edit{func(r map[string]any) { object(r)["spec"] = "x" }}, "/spec"},
		"ImageIsNumber": {"an image that is no text", []edit{func(r map[string]any) {
			object(r)["spec"].(map[string]any)["containers"] = []any{map[string]any{"image": 1}}
		}}, "/spec/containers/0/image"},
		"OtherThanNamed":   {"the object is of another kind than the request", []edit{set("kind", widget)}, "Widget"},
		"OtherKindOfGroup": {"the right group and another kind", []edit{set("kind", map[string]any{"group": "", "version": "v1", "kind": "PodTemplate"})}, "PodTemplate"},
		"OtherGroup":       {"the right kind and another group", []edit{set("kind", map[string]any{"group": "apps", "version": "v1", "kind": "Pod"})}, "apps/v1"},
		"OtherSubresource": {"a subresource that is neither known to be harmless nor readable", []edit{
			set("subResource", "binding"), func(r map[string]any) { object(r)["kind"] = "Binding" },
		}, "Binding"},
	}
	for name, tc := range cases {
		for _, path := range []string{mutateDoor, validateDoor} {
			t.Run(name+path, func(t *testing.T) {
				s := newServer(t, never(t))
				wantDenied(t, ask(t, s, path, recorded(t, "pod-create", tc.edits...)), "bonafide: this object may not run", tc.want)
			})
		}
	}
}

func TestPasses(t *testing.T) {
	cases := map[string][]edit{
		"Delete":   {set("operation", "DELETE"), set("object", nil)},
		"Connect":  {set("operation", "CONNECT"), set("object", nil), set("subResource", "exec")},
		"Scale":    {set("operation", "UPDATE"), set("subResource", "scale"), set("object", map[string]any{"kind": "Scale"})},
		"Status":   {set("operation", "UPDATE"), set("subResource", "status")},
		"NoImages": {func(r map[string]any) { object(r)["spec"] = map[string]any{} }},
	}
	for name, edits := range cases {
		for _, path := range []string{mutateDoor, validateDoor} {
			t.Run(name+path, func(t *testing.T) {
				wantAllowed(t, ask(t, newServer(t, never(t)), path, recorded(t, "pod-create", edits...)))
			})
		}
	}
}

func TestR46MirrorPodIsDecidedAndNeverPatched(t *testing.T) {
	asked, pins := 0, true
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		asked++
		pins = r.CanPin
		return pin(r, d)
	}))
	for _, path := range []string{mutateDoor, validateDoor} {
		asked = 0
		response := ask(t, s, path, recorded(t, "pod-create-mirror"))
		wantAllowed(t, response)
		if asked == 0 || pins || len(response.Patch) > 0 {
			t.Errorf("%s: want it decided without pin and patch, got asked=%d CanPin=%t patch=%s", path, asked, pins, response.Patch)
		}
		wantDenied(t, ask(t, newServer(t, each(deny)), path, recorded(t, "pod-create-mirror")))
	}
}

func TestUnmatched(t *testing.T) {
	nobody := each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Outcome = policy.Unmatched
		return d
	})
	for _, tc := range []struct {
		unmatched server.Unmatched
		allowed   bool
		warnings  int
	}{{server.UnmatchedWarn, true, 3}, {server.UnmatchedAllow, true, 0}, {server.UnmatchedDeny, false, 0}, {server.Unmatched(9), false, 0}} {
		s := newServer(t, nobody, func(o *server.Options) { o.Unmatched = tc.unmatched })
		got := ask(t, s, validateDoor, recorded(t, "pod-create"))
		if got.Allowed != tc.allowed || len(got.Warnings) != tc.warnings {
			t.Errorf("%s: want allowed=%t and %d warnings, got %t and %q", tc.unmatched, tc.allowed, tc.warnings, got.Allowed, got.Warnings)
		}
	}
}

func TestQuestion(t *testing.T) {
	var got engine.Request
	s := newServer(t, server.DeciderFunc(func(_ context.Context, r engine.Request) engine.Decision {
		got = r
		return engine.Decision{}
	}))
	ask(t, s, mutateDoor, recorded(t, "pod-create"))
	got.Images = nil
	want := engine.Request{
		Request: policy.Request{
			Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: "recorded"}, Kind: "Pod", Name: "app", Operation: "CREATE", User: "admin",
			ServiceAccount: "runner", Labels: map[string]string{"app": "web"},
		},
		Puller: evidence.Puller{Namespace: "recorded", ServiceAccount: "runner", PullSecrets: []string{"pull"}},
		CanPin: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBadRequests(t *testing.T) {
	good := recorded(t, "pod-create")
	cases := map[string]struct {
		reason      string
		method      string
		contentType string
		body        []byte
		want        int
	}{
		"Method":          {"only POST", http.MethodGet, "application/json", good, http.StatusMethodNotAllowed},
		"ContentType":     {"only JSON", http.MethodPost, "application/yaml", good, http.StatusUnsupportedMediaType},
		"NoContentType":   {"only JSON", http.MethodPost, "", good, http.StatusUnsupportedMediaType},
		"TooLarge":        {"10 MiB", http.MethodPost, "application/json", bytes.Repeat([]byte{' '}, 10<<20), http.StatusRequestEntityTooLarge},
		"Empty":           {"no body", http.MethodPost, "application/json", nil, http.StatusBadRequest},
		"Truncated":       {"half a review", http.MethodPost, "application/json", good[:len(good)/2], http.StatusBadRequest},
		"Trailing":        {"two reviews", http.MethodPost, "application/json", append(bytes.Clone(good), good...), http.StatusBadRequest},
		"NoUID":           {"no answer could be told apart", http.MethodPost, "application/json", recorded(t, "pod-create", set("uid", "")), http.StatusBadRequest},
		"LongUID":         {"bounded", http.MethodPost, "application/json", recorded(t, "pod-create", set("uid", strings.Repeat("u", 999))), http.StatusBadRequest},
		"NoRequest":       {"nothing asked", http.MethodPost, "application/json", []byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`), http.StatusBadRequest},
		"OtherVersion":    {"v1beta1", http.MethodPost, "application/json", bytes.Replace(good, []byte("admission.k8s.io/v1"), []byte("admission.k8s.io/v1beta1"), 1), http.StatusBadRequest},
		"OtherKind":       {"no review", http.MethodPost, "application/json", bytes.Replace(good, []byte("AdmissionReview"), []byte("ImageReview"), 1), http.StatusBadRequest},
		"NoOperation":     {"what is asked is not known", http.MethodPost, "application/json", recorded(t, "pod-create", set("operation", "")), http.StatusBadRequest},
		"NameInOtherCase": {"names are matched by case", http.MethodPost, "application/json", bytes.Replace(good, []byte(`"uid":"00000000-0000-4000-8000-000000000000","userInfo"`), []byte(`"UID":"1","userInfo"`), 1), http.StatusBadRequest},
	}
	s := newServer(t, never(t))
	for name, tc := range cases {
		for _, path := range []string{mutateDoor, validateDoor} {
			t.Run(name+path, func(t *testing.T) {
				r := httptest.NewRequest(tc.method, path, bytes.NewReader(tc.body))
				r.Header.Set("Content-Type", tc.contentType)
				w := httptest.NewRecorder()
				s.Doors().ServeHTTP(w, r)
				if w.Code != tc.want {
					t.Errorf("%s: want %d, got %d: %s", tc.reason, tc.want, w.Code, w.Body)
				}
				if strings.Contains(w.Body.String(), "allowed") {
					t.Errorf("%s: want no answer, got %s", tc.reason, w.Body)
				}
			})
		}
	}
	t.Run("TooLargeWithoutLength", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, validateDoor, bytes.NewReader(bytes.Repeat([]byte{' '}, 10<<20)))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.ContentLength = -1
		w := httptest.NewRecorder()
		s.Doors().ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("want 413, got %d: %s", w.Code, w.Body)
		}
	})
	t.Run("LargeIsRead", func(t *testing.T) {
		padded := append(bytes.Clone(good), bytes.Repeat([]byte{' '}, 6<<20)...)
		wantAllowed(t, ask(t, newServer(t, each(allow)), validateDoor, padded))
	})
}

// TestMessagesAreBounded has an author write the longest and strangest names.
func TestMessagesAreBounded(t *testing.T) {
	var containers []any
	for i := range 500 {
		containers = append(containers, map[string]any{"name": fmt.Sprint(i), "image": fmt.Sprintf("a\nbonafide: allowed\u202e%s%d", strings.Repeat("x", 2000), i)})
	}
	many := func(r map[string]any) { object(r)["spec"].(map[string]any)["containers"] = containers }
	response := ask(t, newServer(t, each(deny)), validateDoor, recorded(t, "pod-create", many))
	wantDenied(t, response, "bonafide: 502 of 502 images may not run")
	if n := len(response.Result.Message); n > 5000 {
		t.Errorf("want a bounded message, got %d bytes", n)
	}
	for _, l := range strings.Split(response.Result.Message, "\n")[1:] {
		if strings.HasPrefix(l, "bonafide:") {
			t.Errorf("want no forged line, got %q", l)
		}
	}
	response = ask(t, newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Outcome = policy.Unmatched
		return d
	})), validateDoor, recorded(t, "pod-create", many))
	wantAllowed(t, response)
	if n := len(response.Warnings); n > 13 {
		t.Errorf("want bounded warnings, got %d", n)
	}
	for _, w := range response.Warnings {
		if len(w) > 256 || strings.ContainsAny(w, "\n\u202e") {
			t.Errorf("want a bounded and printable warning, got %q", w)
		}
	}
}
