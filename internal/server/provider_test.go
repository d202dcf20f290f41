package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
)

const (
	ownValidate    = "/gatekeeper/validate"
	ownMutate      = "/gatekeeper/mutate"
	ratifyV1       = "/ratify/gatekeeper/v1/verify"
	ratifyV2       = "/ratify/gatekeeper/v2/verify"
	ratifyV1Mutate = "/ratify/gatekeeper/v1/mutate"
	ratifyV2Mutate = "/ratify/gatekeeper/v2/mutate"
	cosignValidate = "/validate"
)

func validators() []string { return []string{ownValidate, ratifyV1, ratifyV2, cosignValidate} }
func mutators() []string   { return []string{ownMutate, ratifyV1Mutate, ratifyV2Mutate} }
func providerPaths() []string {
	return slices.Concat(validators(), mutators())
}

// item is one answer, read as Gatekeeper reads it.
type item struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Error string `json:"error"`
}

type providerAnswer struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Response   struct {
		Idempotent  bool   `json:"idempotent"`
		Items       []item `json:"items"`
		SystemError string `json:"systemError"`
	} `json:"response"`
}

func keys(t testing.TB, keys ...string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": map[string]any{"keys": keys},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// provided reads an answer: whatever happened, it is a ProviderResponse.
func provided(t testing.TB, w *httptest.ResponseRecorder) providerAnswer {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("want JSON, got %q", got)
	}
	return parsed(t, w.Body.Bytes())
}

func parsed(t testing.TB, body []byte) providerAnswer {
	t.Helper()
	var a providerAnswer
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		t.Fatalf("read the answer: %v in %s", err, body)
	}
	if a.Kind != "ProviderResponse" || !strings.HasPrefix(a.APIVersion, "externaldata.gatekeeper.sh/v1") {
		t.Errorf("want a ProviderResponse, got %s", body)
	}
	return a
}

func provide(t testing.TB, s *server.Server, path string, key ...string) providerAnswer {
	t.Helper()
	return provided(t, post(s.Doors(), path, keys(t, key...)))
}

// wantSystemError is the only answer that every template refuses on and that
// Gatekeeper does not remember.
func wantSystemError(t testing.TB, a providerAnswer, words ...string) {
	t.Helper()
	if strings.TrimSpace(a.Response.SystemError) == "" || len(a.Response.Items) > 0 {
		t.Errorf("want a system error and no items, got %+v", a.Response)
	}
	for _, w := range words {
		if !strings.Contains(a.Response.SystemError, w) {
			t.Errorf("want %q in the system error, got:\n%s", w, a.Response.SystemError)
		}
	}
}

// byTag decides by the image's name: what a test wants of it is its tag.
func byTag(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
	known, err := imageref.ParseDigest(digest)
	if err != nil {
		panic(err)
	}
	switch d.Reference.Tag() {
	case "allowed":
		d.Digest = known
		d = pin(r, d)
		d.Policies[0].Finding.Proofs = []policy.Proof{{Identity: "key:1", Who: "key A", Source: "cosign signature " + digest + "[0]"}}
		return d
	case "unpinned":
		d.Digest = known
		return allow(r, d)
	case "denied":
		d.Digest = known
		return deny(r, d)
	case "undecided":
		return by(d, policy.Enforce, policy.Undecided, &evidence.Problem{Reason: evidence.RegistryTimeout, Host: "ghcr.io", Expected: "an answer", Got: "none in time"})
	}
	d.Outcome, d.Problem = policy.Unmatched, &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image", Got: "none"}
	return d
}

func pinnedClock(o *server.Options) {
	o.Now = func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }
}

// TestProviderAnswers compares whole answers.
func TestProviderAnswers(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	head := func(version string, success bool) map[string]any {
		return map[string]any{"version": version, "isSuccess": success, "succeeded": success, "traceID": trace, "timestamp": "2026-07-01T12:00:00Z"}
	}
	with := func(m map[string]any, field string, value ...any) map[string]any { m[field] = value; return m }
	subject := "ghcr.io/acme/app@" + digest
	const (
		signed   = "signed by key A: cosign signature " + digest + "[0]; the tag was looked up for this decision and is not pinned"
		unsigned = "ghcr.io/acme/app:denied: signed: require[0]: expected a signature by key A, got no signature"
		nobody   = "ghcr.io/acme/app:other: expected a policy that covers the image, got none"
		remedy   = "sign the image by digest, or check that the signature was pushed to the same repository"
	)
	v1Good := map[string]any{
		"subject": subject, "isSuccess": true, "name": "signed", "verifierName": "signed", "type": "cosign", "verifierType": "cosign",
		"referenceDigest": digest, "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json", "message": signed,
	}
	v1Bad := map[string]any{
		"subject": subject, "isSuccess": false, "name": "signed", "verifierName": "signed", "type": "policy", "verifierType": "policy",
		"message": unsigned, "errorReason": "NotSigned", "remediation": remedy,
	}
	v1None := map[string]any{
		"subject": "ghcr.io/acme/app:other", "isSuccess": false, "name": "bonafide", "verifierName": "bonafide", "type": "policy", "verifierType": "policy",
		"message": nobody, "errorReason": "NoPolicy",
	}
	v1 := []any{with(head("0.2.0", true), "verifierReports", v1Good), with(head("0.2.0", false), "verifierReports", v1Bad), with(head("0.2.0", false), "verifierReports", v1None)}
	v2 := []any{
		with(head("2.0.0", true), "artifactReports", map[string]any{"subject": subject, "artifact": digest, "results": []any{map[string]any{"verifierName": "signed", "description": signed}}}),
		with(head("2.0.0", false), "artifactReports", map[string]any{"subject": subject, "artifact": "", "results": []any{map[string]any{"verifierName": "signed", "errorReason": unsigned}}}),
		with(head("2.0.0", false), "artifactReports", map[string]any{"subject": "ghcr.io/acme/app:other", "artifact": "", "results": []any{map[string]any{"verifierName": "bonafide", "errorReason": nobody}}}),
	}
	asked := []string{"ghcr.io/acme/app:allowed", "[shop]ghcr.io/acme/app:denied", "ghcr.io/acme/app:other"}
	for path, values := range map[string][]any{
		ownValidate: v1, ratifyV1: v1, ratifyV2: v2,
		cosignValidate: {"ghcr.io/acme/app:allowed_valid", nil, nil},
	} {
		t.Run(path, func(t *testing.T) {
			s := newServer(t, each(byTag), pinnedClock)
			r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(keys(t, asked...)))
			r.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
			w := httptest.NewRecorder()
			s.Doors().ServeHTTP(w, r)
			got := provided(t, w)
			if w.Code != http.StatusOK || got.Response.SystemError != "" || got.Response.Idempotent || len(got.Response.Items) != len(asked) {
				t.Fatalf("got %d: %s", w.Code, w.Body)
			}
			for i, v := range values {
				want := item{Key: asked[i], Value: v}
				if v == nil {
					want.Error = asked[i] + "_invalid"
				}
				if diff := cmp.Diff(want, got.Response.Items[i]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", asked[i], diff)
				}
			}
		})
	}
}

// TestR40MutatePinsOnlyWhatIsVerified has each mutator look at each outcome.
func TestR40MutatePinsOnlyWhatIsVerified(t *testing.T) {
	const image = "ghcr.io/acme/app"
	cases := map[string]struct {
		reason             string
		key                string
		kept, dropped, err string
	}{
		"Allowed":   {reason: "pinned", key: image + ":allowed", kept: image + ":allowed@" + digest, dropped: image + "@" + digest},
		"Short":     {reason: "Ratify writes the whole name", key: "nginx:allowed", kept: "nginx:allowed@" + digest, dropped: "docker.io/library/nginx@" + digest},
		"Namespace": {reason: "the namespace is not part of the image", key: "[shop]" + image + ":allowed", kept: image + ":allowed@" + digest, dropped: image + "@" + digest},
		"PinNone":   {reason: "the policy does not pin", key: image + ":unpinned", kept: image + ":unpinned", dropped: image + ":unpinned"},
		"Denied":    {reason: "the constraint decides", key: image + ":denied", kept: image + ":denied", dropped: image + ":denied"},
		"Unmatched": {reason: "the constraint decides", key: image + ":other", kept: image + ":other", dropped: image + ":other"},
		"Undecided": {reason: "failurePolicy decides", key: image + ":undecided", err: "expected an answer, got none in time"},
		"Digest":    {reason: "nothing to pin", key: image + "@" + digest, kept: image + "@" + digest, dropped: image + "@" + digest},
		"Both":      {reason: "nothing to pin", key: image + ":1@" + digest, kept: image + ":1@" + digest, dropped: image + ":1@" + digest},
		"BadDigest": {reason: "no image", key: image + "@sha256:abc", err: "expected an image reference"},
		"Malformed": {reason: "no image", key: "no image", err: "expected an image reference"},
	}
	for name, tc := range cases {
		for _, path := range mutators() {
			t.Run(name+path, func(t *testing.T) {
				got := provide(t, newServer(t, each(byTag)), path, tc.key).Response
				want := tc.dropped
				if path == ownMutate {
					want = tc.kept
				}
				// What Gatekeeper asks of a mutator's answer.
				if !got.Idempotent || got.SystemError != "" || len(got.Items) != 1 || got.Items[0].Key != tc.key {
					t.Fatalf("want one idempotent item, got %+v", got)
				}
				if tc.err != "" {
					if !strings.Contains(got.Items[0].Error, tc.err) || got.Items[0].Value != nil {
						t.Errorf("%s: want error %q and no value, got %+v", tc.reason, tc.err, got.Items[0])
					}
					return
				}
				if got.Items[0].Value != want || got.Items[0].Error != "" {
					t.Errorf("%s: want %q, got %+v", tc.reason, want, got.Items[0])
				}
			})
		}
	}
}

// TestR39PinThatIsNoDigestIsAnError has a decider pin to something else.
func TestR39PinThatIsNoDigestIsAnError(t *testing.T) {
	for _, pinned := range []string{"ghcr.io/acme/app:other", "no image"} {
		s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
			d = pin(r, d)
			d.Pinned = pinned
			return d
		}))
		for _, path := range mutators() {
			got := provide(t, s, path, "ghcr.io/acme/app:1").Response
			if len(got.Items) != 1 || got.Items[0].Error == "" || got.Items[0].Value != nil {
				t.Errorf("%s: want an error, got %+v", path, got)
			}
		}
	}
}

// TestR45TransientFaultsAreSystemErrors mixes what could not be told with what
// could: the whole batch is refused, and says both.
func TestR45TransientFaultsAreSystemErrors(t *testing.T) {
	for _, path := range validators() {
		a := provide(t, newServer(t, each(byTag)), path, "ghcr.io/acme/app:allowed", "ghcr.io/acme/app:denied", "ghcr.io/acme/app:undecided", "no image")
		wantSystemError(t, a, "bonafide: 1 of 4 images could not be decided\nghcr.io/acme/app:undecided: signed", "none in time (could not be decided)", "ghcr.io/acme/app:denied", "no image: expected an image reference")
	}
}

// TestProviderQuestion is what the decider is asked: once per namespace, and
// once about each image.
func TestProviderQuestion(t *testing.T) {
	var mu sync.Mutex
	got := map[string]engine.Request{}
	s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
		mu.Lock()
		defer mu.Unlock()
		got[r.Namespace.Name+"/"+string('0'+rune(r.Namespace.State))] = r
		return each(byTag)(ctx, r)
	}))
	batch := []string{"a:1", "[shop]a:1", "a:1", "[shop]b:1", "[]a:1", "[::1]:5000/a:1", "[Bad]a:1", "[shop", "[-x]a:1", "[[shop]a:1", "c@" + digest}
	for _, path := range []string{ownValidate, ownMutate} {
		clear(got)
		answer := provide(t, s, path, batch...)
		if len(answer.Response.Items) != len(batch) {
			t.Fatalf("want an item for each key, got %+v", answer)
		}
		asked := map[string][]string{}
		for namespace, r := range got {
			for _, i := range r.Images {
				asked[namespace] = append(asked[namespace], i.Ref)
			}
			if r.CanPin != (path == ownMutate) || !cmp.Equal(r.Puller, evidence.Puller{}) || r.Kind != "" || r.User != "" {
				t.Errorf("%s: got %+v", path, r)
			}
		}
		want := map[string][]string{"/0": {"a:1", "[::1]:5000/a:1"}, "shop/1": {"a:1", "b:1"}, "/2": {"a:1"}}
		if path == ownValidate {
			want["/0"] = append(want["/0"], "c@"+digest)
		}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		for i, key := range batch {
			bad := strings.HasPrefix(key, "[Bad") || strings.HasPrefix(key, "[-") || strings.HasPrefix(key, "[[") || key == "[shop"
			if (answer.Response.Items[i].Error != "") != bad {
				t.Errorf("%s: %q: want error=%t, got %+v", path, key, bad, answer.Response.Items[i])
			}
		}
	}
}

// TestR15ReportingPoliciesDoNotVerify: an image that nothing enforces for is not
// verified, whatever the policies report.
func TestR15ReportingPoliciesDoNotVerify(t *testing.T) {
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = by(d, policy.Audit, policy.Allowed)
		d.Policies[0].Effective = policy.Unmatched
		d.Outcome, d.Problem = policy.Unmatched, &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image and enforces", Got: "only policies that report"}
		return d
	}))
	for _, path := range []string{ownValidate, ratifyV1, ratifyV2} {
		value := provide(t, s, path, "a:1").Response.Items[0].Value.(map[string]any)
		if value["isSuccess"] != false || value["succeeded"] != false {
			t.Errorf("%s: want not verified, got %v", path, value)
		}
	}
}

// TestR48DeniedImageHasNoSuccessfulReport: templates may decide by the reports
// alone.
func TestR48DeniedImageHasNoSuccessfulReport(t *testing.T) {
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = by(d, policy.Enforce, policy.Allowed)
		d.Policies[0].Finding.Proofs = []policy.Proof{{Identity: "notation:CN=a", Who: "CN=a", Source: "Notation signature " + digest + "[0]"}}
		d = by(d, policy.Enforce, policy.Denied, notSigned)
		return d
	}))
	for _, path := range []string{ownValidate, ratifyV1} {
		value := provide(t, s, path, "a:1").Response.Items[0].Value.(map[string]any)
		reports := value["verifierReports"].([]any)
		if len(reports) != 1 {
			t.Errorf("%s: want the refusal alone, got %v", path, reports)
		}
		for _, r := range reports {
			if r.(map[string]any)["isSuccess"] != false {
				t.Errorf("%s: want no success, got %v", path, r)
			}
		}
	}
}

// TestR23StatementIsNoSignatureReport: a template that asks for a signature
// must not take a statement for one.
func TestR23StatementIsNoSignatureReport(t *testing.T) {
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = by(d, policy.Enforce, policy.Allowed)
		d.Policies[0].Finding.Children = []policy.Finding{{Outcome: policy.Allowed, Proofs: []policy.Proof{
			{Identity: "notation:CN=a", Who: "CN=a", Source: "artifact", Statement: policy.NewArtifact("application/spdx+json", nil)},
		}}}
		return d
	}))
	report := provide(t, s, ratifyV1, "a:1").Response.Items[0].Value.(map[string]any)["verifierReports"].([]any)[0].(map[string]any)
	if report["type"] != "attestation" || report["artifactType"] != "application/spdx+json" || report["referenceDigest"] != nil {
		t.Errorf("want a statement of its type, got %v", report)
	}
}

// TestR36NamespaceOfAKeyLendsNoPullSecrets: whoever may ask Gatekeeper's
// questions writes the namespace of a key, and learns nothing that only that
// namespace's credentials can read, those of its default account included.
func TestR36NamespaceOfAKeyLendsNoPullSecrets(t *testing.T) {
	keychain := registry.PullSecrets{
		Secrets: registry.SecretGetterFunc(func(_ context.Context, namespace, name string) ([]byte, error) {
			t.Errorf("read Secret %s/%s", namespace, name)
			return nil, errBoom
		}),
		ServiceAccount: func(_ context.Context, namespace, name string) ([]string, error) {
			t.Errorf("read service account %s/%s", namespace, name)
			return []string{"pull"}, nil
		},
	}
	var asked atomic.Int64
	s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
		asked.Add(1)
		for _, i := range r.Images {
			ref, err := imageref.Parse(i.Ref)
			if err != nil {
				t.Error(err)
			}
			if found, err := keychain.Credentials(ctx, r.Puller, ref.Repository()); err != nil || len(found) > 0 {
				t.Errorf("want no credentials, got %d, %v", len(found), err)
			}
		}
		return each(allow)(ctx, r)
	}))
	for _, path := range providerPaths() {
		provide(t, s, path, "[team-a]ghcr.io/acme/private:v1", "[]ghcr.io/acme/private:v1", "ghcr.io/acme/private:v1")
	}
	if got := int(asked.Load()); got != 3*len(providerPaths()) {
		t.Errorf("want each namespace of each path asked about, got %d", got)
	}
}
