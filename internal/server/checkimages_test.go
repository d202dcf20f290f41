package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

const checkDoor = "/checkimages"

var verifiedDigest = imageref.MustParse("x@" + digest).Digest()

// checked settings know the trust policy "tp" and no other.
func checked(o *server.Options) {
	o.CheckImages.TrustPolicies = func(name string) bool { return name == "tp" }
}

// entry is an image as Kyverno writes it, at a pointer of a Pod.
func entry(list, name string, i string) string {
	return `{"registry":"ghcr.io","name":"` + name + `","path":"acme/` + name + `","tag":"v1","jsonPointer":"/spec/` + list + `/` + i + `/image"}`
}

// images is a request for one container and more fields of the request.
func images(more string) string {
	return `{"trustPolicy":"tp","images":{"containers":{"main":` + entry("containers", "app", "0") + `}}` + more + `}`
}

func postCheck(h http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, checkDoor, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// prove allows as an enforcing policy that found a proof does.
func prove(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
	d = by(d, policy.Enforce, policy.Allowed)
	d.Digest = verifiedDigest
	d.Policies[0].Finding = policy.Finding{Path: "require", Outcome: policy.Allowed, Proofs: []policy.Proof{{Identity: "somebody"}}}
	return d
}

// refused is a decision with one finding.
func refused(outcome policy.Outcome, f policy.Finding) func(engine.Request, engine.ImageDecision) engine.ImageDecision {
	return func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = by(d, policy.Enforce, outcome)
		d.Digest = verifiedDigest
		f.Outcome = outcome
		d.Policies[0].Finding = f
		return d
	}
}

// TestCheckImagesAnswer is the whole answer, byte for byte: the patch that
// Kyverno's policies read, and name and image as documented beside it.
func TestCheckImagesAnswer(t *testing.T) {
	var asked engine.Request
	s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
		asked = r
		return each(prove)(ctx, r)
	}), checked)
	body := `{"trustPolicy":"tp","images":{
		"ephemeralContainers":{"debug":` + entry("ephemeralContainers", "busybox", "0") + `},
		"initContainers":{"setup":` + entry("initContainers", "setup", "0") + `},
		"containers":{"z":` + entry("containers", "app", "1") + `,"a":` + entry("containers", "tool", "0") + `}}}`
	w := postCheck(s.Doors(), body)
	want := `{
    "verified": true,
    "results": [
      {
        "op": "replace",
        "path": "/spec/containers/0/image",
        "value": "ghcr.io/acme/tool@` + digest + `",
        "name": "a",
        "image": "ghcr.io/acme/tool@` + digest + `"
      },
      {
        "op": "replace",
        "path": "/spec/containers/1/image",
        "value": "ghcr.io/acme/app@` + digest + `",
        "name": "z",
        "image": "ghcr.io/acme/app@` + digest + `"
      },
      {
        "op": "replace",
        "path": "/spec/initContainers/0/image",
        "value": "ghcr.io/acme/setup@` + digest + `",
        "name": "setup",
        "image": "ghcr.io/acme/setup@` + digest + `"
      },
      {
        "op": "replace",
        "path": "/spec/ephemeralContainers/0/image",
        "value": "ghcr.io/acme/busybox@` + digest + `",
        "name": "debug",
        "image": "ghcr.io/acme/busybox@` + digest + `"
      }
    ]
  }`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != http.StatusOK {
		t.Errorf("got %d (-want +got):\n%s", w.Code, diff)
	}
	if diff := cmp.Diff([]string{"tp"}, asked.Policies); diff != "" || !asked.CanPin || asked.Namespace.State != policy.NamespaceNotCarried || !cmp.Equal(asked.Puller, evidence.Puller{}) {
		t.Errorf("want the trust policy alone to be asked, by a door that pins and carries no namespace, got %+v", asked)
	}
	if diff := cmp.Diff(workload.Image{Name: "a", List: "containers", Pointer: "/spec/containers/0/image", Ref: "ghcr.io/acme/tool:v1"}, asked.Images[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCheckImagesRefuses holds status and text of everything that is refused
// before anything is decided.
func TestCheckImagesRefuses(t *testing.T) {
	const one = `{"images":{"containers":{"c":`
	attest := func(conditions string) string {
		return images(`,"attestations":[{"imageReference":"*","type":[{"name":"sbom","conditions":` + conditions + `}]}]`)
	}
	cases := map[string]struct {
		reason string
		body   string
		status int
		want   string // the text, or the beginning of it if it ends in "…"
	}{
		"NotJSON":          {"", `{`, 406, "decode JSON: …"},
		"Empty":            {"", ``, 406, "decode JSON: …"},
		"Array":            {"", `[]`, 406, "the request: expected an object, got a list"},
		"TwoValues":        {"", images("") + images(""), 406, "decode JSON: …"},
		"R4Twice":          {"two readers could read two requests", `{"trustPolicy":"tp","trustPolicy":"other","images":{}}`, 406, "decode JSON: expected each name once, …"},
		"R4TwiceContainer": {"two readers could read two requests", `{"images":{"containers":{"c":{},"c":{}}}}`, 406, "decode JSON: expected each name once, …"},
		"R4Case":           {"a laxer reader would read it", strings.Replace(images(""), "trustPolicy", "TrustPolicy", 1), 406, `the request: expected "trustPolicy", got it as "TrustPolicy"`},
		"R4CaseOfImages":   {"a laxer reader would read it", `{"images":{"Containers":{}}}`, 406, `images: expected "containers", got it as "Containers"`},
		"R48NoImages":      {"an empty set", `{"trustPolicy":"tp"}`, 406, "atleast one image must be provided"},
		"R48NullImages":    {"an empty set", `{"images":null}`, 406, "atleast one image must be provided"},
		"R48EmptyLists":    {"an empty set", `{"images":{"containers":{},"initContainers":{},"ephemeralContainers":null}}`, 406, "atleast one image must be provided"},
		"ImagesOfType":     {"", `{"images":[]}`, 406, "images: expected an object, got a list"},
		"EntryOfType":      {"", one + `"app:1"}}}`, 406, `images.containers["c"]: expected an object, got a string`},
		"TagOfType":        {"", one + `{"path":"a","tag":1}}}}`, 406, `images.containers["c"].tag: expected a string, got a number`},
		"NoPath":           {"", one + `{"tag":"1","jsonPointer":"/spec/containers/0/image"}}}}`, 406, `images.containers["c"]: path: expected the repository's path, got none`},
		"NullEntry":        {"", one + `null}}}`, 406, `images.containers["c"]: path: expected the repository's path, got none`},
		"R48NoTagNoDigest": {"a missing field is not latest", one + `{"path":"a","jsonPointer":"/spec/containers/0/image"}}}}`, 406, `images.containers["c"]: expected a tag or a digest, got neither`},
		"R48PathWithTag":   {"what is verified would be another image", one + `{"path":"a:1@x","tag":"1","jsonPointer":"/spec/containers/0/image"}}}}`, 406, `images.containers["c"]: path: expected no tag …`},
		"R48Reference": {
			"what is verified would not be what runs", one + `{"registry":"ghcr.io","path":"a","tag":"1","reference":"ghcr.io/b:1","jsonPointer":"/spec/containers/0/image"}}}}`, 406,
			`images.containers["c"]: reference: expected "ghcr.io/a:1", as the other fields say, got "ghcr.io/b:1"`,
		},
		"R48ReferenceWithTag": {
			"what is verified would not be what runs", one + `{"registry":"ghcr.io","path":"a","tag":"1","referenceWithTag":"ghcr.io/a:2","jsonPointer":"/spec/containers/0/image"}}}}`, 406,
			`images.containers["c"]: referenceWithTag: expected "ghcr.io/a:1", as the other fields say, got "ghcr.io/a:2"`,
		},
		"NoPointer":      {"", one + `{"path":"a","tag":"1"}}}}`, 406, `images.containers["c"]: jsonPointer: expected one such as "/spec/containers/0/image", got ""`},
		"ForeignPointer": {"a patch must change an image", one + `{"path":"a","tag":"1","jsonPointer":"/spec/serviceAccountName"}}}}`, 406, `images.containers["c"]: jsonPointer: …`},
		"LongPointer":    {"", one + `{"path":"a","tag":"1","jsonPointer":"/spec/` + strings.Repeat("a/", 300) + `image"}}}}`, 406, `images.containers["c"]: jsonPointer: …`},
		"R48SamePointer": {
			"two patches of one place", `{"images":{"containers":{"c":` + entry("containers", "app", "0") + `,"d":` + entry("containers", "tool", "0") + `}}}`, 406,
			`images: expected each jsonPointer once, got "/spec/containers/0/image" again`,
		},
		"PatternsOfType":   {"", images(`,"imageReferences":"*"`), 406, "the request.imageReferences: expected a list, got a string"},
		"PatternOfType":    {"", images(`,"imageReferences":[1]`), 406, "the request.imageReferences[0]: expected a string of at most 1024 bytes, got a number"},
		"MetadataOfType":   {"", images(`,"metadata":{}`), 406, "the request.metadata: expected a string, got an object"},
		"Metadata":         {"", images(`,"metadata":"[]"`), 406, "failed to marshal metadata value: …"},
		"MetadataValue":    {"", images(`,"metadata":"{\"a\":\"true\"}"`), 406, "failed to marshal metadata value: …"},
		"Insecure":         {"", images(`,"insecure":"yes"`), 406, "the request.insecure: expected true or false, got a string"},
		"UnknownPolicy":    {"", strings.Replace(images(""), `"tp"`, `"tp-other"`, 1), 406, "failed to create notation verifier: no trust policy found for trust policy tp-other"},
		"NoPolicy":         {"", strings.Replace(images(""), `"tp"`, `""`, 1), 406, "failed to create notation verifier: no trust policy specified, please specify a trust policy in request or set DEFAULT_TRUST_POLICY env"},
		"NoReference":      {"", images(`,"attestations":[{"imageReference":"","type":[{"name":"a"}]}]`), 406, "image reference cannot be empty: attestations[0]"},
		"NoTypes":          {"an empty set", images(`,"attestations":[{"imageReference":"*","type":[]}]`), 406, "attestations[0].type: expected one to …"},
		"NoTypeName":       {"", images(`,"attestations":[{"imageReference":"*","type":[{"conditions":{}}]}]`), 406, "attestation name cannot be empty: attestations[0].type[0]"},
		"NoKey":            {"", attest(`{"all":[{"operator":"Equals","value":1}]}`), 406, "condition key cannot be empty: attestations[0].type[0].conditions.all[0]"},
		"NoValue":          {"", attest(`{"any":[{"key":"{{a}}","operator":"Equals"}]}`), 406, "condition value cannot be empty: attestations[0].type[0].conditions.any[0]"},
		"R4ConditionsCase": {"a laxer reader would read it", attest(`{"All":[]}`), 406, `attestations[0].type[0].conditions: expected "all", got it as "All"`},
		"Operator":         {"", attest(`{"all":[{"key":"{{a}}","operator":"Equalz","value":1}]}`), 406, "failed to create attestation list: attestations[0].type[0]: …"},
		"Expression":       {"", attest(`{"all":[{"key":"{{ a[ }}","operator":"Equals","value":1}]}`), 406, "failed to create attestation list: attestations[0].type[0]: …"},
		"R1TooLarge":       {"bodies are bounded", images(`,"x":"` + strings.Repeat("a", 7<<20) + `"`), 413, "expected a body of at most 7 MiB, got more"},
		"R1TooMuchMatching": {
			"matching is bounded", `{"imageReferences":[` + strings.TrimSuffix(strings.Repeat(`"*`+strings.Repeat("a", 1000)+`b",`, 100), ",") + `],"images":{"containers":{` + longEntries(500) + `}}}`, 406,
			"expected at most 268435456 pairs of bytes of patterns and images, got …",
		},
		"R1TooManyImages": {"lists are bounded", `{"images":{"containers":{` + strings.Repeat(`"c":{},`, 1) + manyEntries(1001) + `}}}`, 406, "expected at most 1000 images, got more"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := postCheck(newServer(t, never(t), checked).Doors(), tc.body)
			got := w.Body.String()
			wanted := tc.want + "\n"
			if prefix, cut := strings.CutSuffix(tc.want, "…"); cut && strings.HasPrefix(got, prefix) && strings.Count(got, "\n") == 1 {
				wanted = got
			}
			if w.Code != tc.status || got != wanted {
				t.Errorf("%s: want %d %q, got %d %q", tc.reason, tc.status, tc.want, w.Code, got)
			}
			if kind := w.Header().Get("Content-Type"); kind != "text/plain; charset=utf-8" {
				t.Errorf("want plain text, got %q", kind)
			}
		})
	}
}

func manyEntries(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = `"d` + strings.Repeat("d", i) + `":{}`
	}
	return strings.Join(all, ",")
}

// longEntries are n images of long names.
func longEntries(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"c%d":{"path":"%s","tag":"1","jsonPointer":"/spec/containers/%d/image"}`, i, strings.Repeat("a", 200), i)
	}
	return strings.Join(all, ",")
}

// TestCheckImagesReadsEveryForm: Kyverno's fields for an image by digest, and
// with its default registry left out.
func TestCheckImagesReadsEveryForm(t *testing.T) {
	const pointer = `,"jsonPointer":"/spec/jobTemplate/spec/template/spec/containers/0/image"}`
	cases := map[string]struct{ entry, ref string }{
		"Digest": {
			`{"registry":"ghcr.io","name":"app","path":"acme/app","digest":"` + digest + `","reference":"ghcr.io/acme/app@` + digest + `","referenceWithTag":"ghcr.io/acme/app:"` + pointer,
			"ghcr.io/acme/app@" + digest,
		},
		"Both": {
			`{"registry":"ghcr.io","name":"app","path":"acme/app","tag":"v1","digest":"` + digest + `","reference":"ghcr.io/acme/app@` + digest + `","referenceWithTag":"ghcr.io/acme/app:v1"` + pointer,
			"ghcr.io/acme/app@" + digest,
		},
		"NoRegistry": {`{"name":"nginx","path":"nginx","tag":"latest","reference":"nginx:latest","referenceWithTag":"nginx:latest"` + pointer, "nginx:latest"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var asked engine.Request
			s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
				asked = r
				return each(prove)(ctx, r)
			}), checked)
			w := postCheck(s.Doors(), `{"trustPolicy":"tp","images":{"containers":{"c":`+tc.entry+`}}}`)
			repository, _, _ := strings.Cut(strings.TrimSuffix(tc.ref, ":latest"), "@")
			if w.Code != http.StatusOK || asked.Images[0].Ref != tc.ref || !strings.Contains(w.Body.String(), `"value": "`+repository+"@"+digest+`"`) {
				t.Errorf("want %s decided, got %d %+v %s", tc.ref, w.Code, asked.Images, w.Body)
			}
		})
	}
}

func TestCheckImagesMethod(t *testing.T) {
	s := newServer(t, never(t), checked)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		w := httptest.NewRecorder()
		s.Doors().ServeHTTP(w, httptest.NewRequest(method, checkDoor, strings.NewReader(images(""))))
		if w.Code != http.StatusMethodNotAllowed || w.Body.String() != "Method Not Allowed\n" || w.Header().Get("Allow") != http.MethodPost {
			t.Errorf("%s: want 405, got %d %q", method, w.Code, w.Body)
		}
	}
}

// TestCheckImagesFailures holds the texts of images that do not verify.
func TestCheckImagesFailures(t *testing.T) {
	const (
		app      = "failed to verify container app: failed to verify image {{ghcr.io app acme/app v1 } /spec/containers/0/image}: "
		attested = "failed to verify attestatations: failed to verify attestations: "
		sbom     = `,"attestations":[{"imageReference":"*","type":[{"name":"sbom"}]}]`
	)
	signed := policy.Finding{Path: "require[0]", Outcome: policy.Allowed, Proofs: []policy.Proof{{Identity: "a"}}}
	artifact := func(reason evidence.Reason, got string) func(policy.Outcome) func(engine.Request, engine.ImageDecision) engine.ImageDecision {
		return func(o policy.Outcome) func(engine.Request, engine.ImageDecision) engine.ImageDecision {
			p := &evidence.Problem{Reason: reason, Path: "artifact x", Expected: "this", Got: got}
			leaf := policy.Finding{Path: "require[1]", Where: "attestations[0].type[0]", Outcome: o, Problems: []*evidence.Problem{p}}
			return refused(o, policy.Finding{Problems: []*evidence.Problem{p}, Children: []policy.Finding{signed, leaf}})
		}
	}
	problem := func(reason evidence.Reason) policy.Finding {
		return policy.Finding{Path: "require", Problems: []*evidence.Problem{{Reason: reason, Expected: "x", Got: "y"}}}
	}
	cases := map[string]struct {
		body   string
		decide func(engine.Request, engine.ImageDecision) engine.ImageDecision
		want   string
	}{
		"NotSigned": {
			images(""), refused(policy.Denied, problem(evidence.NotSigned)),
			app + `no signature is associated with "ghcr.io/acme/app@` + digest + `", make sure the artifact was signed successfully: ghcr.io/acme/app:v1: signed: require: expected x, got y`,
		},
		"OtherSigner": {images(""), refused(policy.Denied, problem(evidence.CertificateUntrusted)), app + "ghcr.io/acme/app:v1: signed: require: expected x, got y"},
		"R48Undecided": {
			images(""), refused(policy.Undecided, problem(evidence.RegistryTimeout)), app + "ghcr.io/acme/app:v1: signed: require: expected x, got y (could not be decided)",
		},
		"R48UndecidedUnsigned": {
			images(""), refused(policy.Undecided, problem(evidence.NotSigned)), app + "ghcr.io/acme/app:v1: signed: require: expected x, got y (could not be decided)",
		},
		"R20Unmatched": {
			images(""), func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
				d.Outcome, d.Problem = policy.Unmatched, &evidence.Problem{Reason: evidence.NoPolicy}
				return d
			}, app + `no statement of trust policy "tp" has "ghcr.io/acme/app" in its registryScopes`,
		},
		"R48AllowedByNobody": {
			images(""), func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
				d.Outcome = policy.Allowed
				return d
			}, app + "no policy that enforces allows the image",
		},
		"R48AllowedWithoutDigest": {
			images(""), func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
				d = prove(r, d)
				d.Digest = imageref.Digest{}
				return d
			}, app + "expected the digest that was verified, got none",
		},
		"R48Zero": {
			images(""), func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
				return engine.ImageDecision{Image: d.Image}
			}, app + "ghcr.io/acme/app:v1: expected a reason for the decision, got none (could not be decided)",
		},
		"Init": {
			`{"trustPolicy":"tp","images":{"initContainers":{"c":` + entry("initContainers", "app", "0") + `}}}`, refused(policy.Denied, problem(evidence.CertificateUntrusted)),
			"failed to verify init container app: failed to verify image {{ghcr.io app acme/app v1 } /spec/initContainers/0/image}: ghcr.io/acme/app:v1: signed: require: expected x, got y",
		},
		"Ephemeral": {
			`{"trustPolicy":"tp","images":{"ephemeralContainers":{"c":` + entry("ephemeralContainers", "app", "0") + `}}}`, refused(policy.Denied, problem(evidence.CertificateUntrusted)),
			"failed to verify ephemeral container: app: failed to verify image {{ghcr.io app acme/app v1 } /spec/ephemeralContainers/0/image}: ghcr.io/acme/app:v1: signed: require: expected x, got y",
		},
		"NewerKyverno": {
			strings.Replace(images(""), `"tag":"v1"`, `"tag":"v1","reference":"ghcr.io/acme/app:v1","referenceWithTag":"ghcr.io/acme/app:v1"`, 1), refused(policy.Denied, problem(evidence.CertificateUntrusted)),
			"failed to verify container app: failed to verify image {{ghcr.io app acme/app v1  ghcr.io/acme/app:v1 ghcr.io/acme/app:v1} /spec/containers/0/image}: ghcr.io/acme/app:v1: signed: require: expected x, got y",
		},
		"More": {
			`{"trustPolicy":"tp","images":{"containers":{"a":` + entry("containers", "app", "0") + `,"b":` + entry("containers", "tool", "1") + `}}}`, refused(policy.Denied, problem(evidence.CertificateUntrusted)),
			app + "ghcr.io/acme/app:v1: signed: require: expected x, got y; and 1 more of 2 images",
		},
		"NoAttestation": {
			images(sbom), artifact(evidence.NotAttested, "none")(policy.Denied),
			attested + "failed to find attestation sbom in image ghcr.io/acme/app@" + digest + ": artifact x: expected this, got none",
		},
		"UnsignedAttestation": {images(sbom), artifact(evidence.NotAttested, "1 that nobody who counts has signed")(policy.Denied), attested + "ghcr.io/acme/app@" + digest + ": artifact x: expected this, got 1 that nobody who counts has signed"},
		"R32ConditionNotMet": {
			images(sbom), artifact(evidence.ConditionNotMet, "that")(policy.Denied),
			attested + "failed to verify conditions ghcr.io/acme/app:v1 " + digest + ": failed to evaluate conditions: artifact x: expected this, got that",
		},
		"R32ConditionFailed": {
			images(sbom), artifact(evidence.ConditionFailed, "an error")(policy.Denied),
			attested + "failed to verify conditions ghcr.io/acme/app:v1 " + digest + ": failed to evaluate conditions: artifact x: expected this, got an error",
		},
		"R48AttestationUndecided": {images(sbom), artifact(evidence.RegistryTimeout, "that")(policy.Undecided), attested + "ghcr.io/acme/app@" + digest + ": artifact x: expected this, got that (could not be decided)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := postCheck(newServer(t, each(tc.decide), checked).Doors(), tc.body)
			if diff := cmp.Diff(tc.want+"\n", w.Body.String()); diff != "" || w.Code != http.StatusNotAcceptable {
				t.Errorf("want 406, got %d (-want +got):\n%s", w.Code, diff)
			}
		})
	}
}

// TestCheckImagesSelects: images that the caller's imageReferences do not mean
// are left out, in any spelling that they do mean they are verified (TRUST R12).
func TestCheckImagesSelects(t *testing.T) {
	const pinned = `{"registry":"ghcr.io","name":"app","path":"acme/app","tag":"v1","digest":"` + digest + `","jsonPointer":"/spec/containers/0/image"}`
	cases := map[string]struct {
		reason   string
		entry    string
		patterns string
		want     bool
	}{
		"Absent":       {"no patterns mean every image", "", `null`, true},
		"Empty":        {"no patterns mean every image", "", `[]`, true},
		"All":          {"", "", `["*"]`, true},
		"Registry":     {"", "", `["ghcr.io/*"]`, true},
		"Exact":        {"", "", `["ghcr.io/acme/app:v1"]`, true},
		"OneCharacter": {"", "", `["ghcr.io/acme/app:v?"]`, true},
		"Second":       {"", "", `["docker.io/*","ghcr.io/acme/*"]`, true},
		"Other":        {"", "", `["docker.io/*"]`, false},
		"OtherTag":     {"", "", `["ghcr.io/acme/app:v2"]`, false},
		"Prefix":       {"a pattern is the whole name", "", `["ghcr.io/acme"]`, false},
		"EmptyPattern": {"it means no image", "", `[""]`, false},
		"R12Untagged":  {"doubt includes", "", `["ghcr.io/acme/app"]`, true},
		"R12Tagged":    {"what is named by digest is meant by its tag too", pinned, `["ghcr.io/acme/app:v1"]`, true},
		"R12Digest":    {"", pinned, `["*@sha256:*"]`, true},
		"R12HostAlias": {"spellings of a host are one", `{"registry":"index.docker.io","name":"nginx","path":"library/nginx","tag":"1","jsonPointer":"/spec/containers/0/image"}`, `["docker.io/library/*"]`, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.entry == "" {
				tc.entry = entry("containers", "app", "0")
			}
			asked := 0
			s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
				asked = len(r.Images)
				return each(prove)(ctx, r)
			}), checked)
			w := postCheck(s.Doors(), `{"trustPolicy":"tp","imageReferences":`+tc.patterns+`,"images":{"containers":{"c":`+tc.entry+`}}}`)
			if w.Code != http.StatusOK || (asked == 1) != tc.want || strings.Contains(w.Body.String(), `"replace"`) != tc.want {
				t.Errorf("%s: want verified %t, got %d, %d asked: %s", tc.reason, tc.want, w.Code, asked, w.Body)
			}
			if !tc.want && !strings.Contains(w.Body.String(), `"results": []`) {
				t.Errorf("want an empty list, got %s", w.Body)
			}
		})
	}
}

// TestCheckImagesAsksForArtifacts: each type of each attestation is asked for
// beside the trust policy.
func TestCheckImagesAsksForArtifacts(t *testing.T) {
	var asked engine.Request
	s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
		asked = r
		return each(prove)(ctx, r)
	}), checked)
	body := images(`,"attestations":[
		{"imageReference":"ghcr.io/*","type":[{"name":"sbom/cyclone-dx","conditions":{"all":[{"key":"\\{{creationInfo.licenseListVersion}}","operator":"Equals","value":"3.17","message":"invalid license version"}]}},{"name":"scan"}]},
		{"imageReference":"docker.io/*","type":[{"name":"scan","conditions":{}}]}]`)
	if w := postCheck(s.Doors(), body); w.Code != http.StatusOK {
		t.Fatalf("want 200, got %d %s", w.Code, w.Body)
	}
	type extra struct {
		Type, Where string
		Quantifier  policy.Quantifier
		Conditions  int
		Includes    bool
	}
	ref, err := imageref.Parse(asked.Images[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	var got []extra
	for _, x := range asked.Extra {
		got = append(got, extra{x.Artifact.Type, x.Artifact.Where, x.Artifact.Quantifier, len(x.Artifact.Conditions), x.Images.Includes(ref)})
	}
	want := []extra{
		{"sbom/cyclone-dx", "attestations[0].type[0]", policy.EveryFound, 1, true},
		{"scan", "attestations[0].type[1]", policy.EveryFound, 0, true},
		{"scan", "attestations[1].type[0]", policy.EveryFound, 0, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecordedCheckImagesIsRead replays what Kyverno 1.19.1 sent.
func TestRecordedCheckImagesIsRead(t *testing.T) {
	var asked engine.Request
	s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
		asked = r
		return each(prove)(ctx, r)
	}), func(o *server.Options) {
		o.CheckImages.TrustPolicies = func(name string) bool { return name == "tp-test-venafi" }
	})
	if w := postCheck(s.Doors(), string(recordedCheck(t))); w.Code != http.StatusOK {
		t.Fatalf("want 200, got %d %s", w.Code, w.Body)
	}
	var got []string
	for _, i := range asked.Images {
		got = append(got, i.List+" "+i.Name+" "+i.Ref+" "+i.Pointer)
	}
	want := []string{
		"containers app 127.0.0.1:5000/notation-0:v1 /spec/containers/0/image",
		"containers sidecar docker.io/busybox:latest /spec/containers/1/image",
		"initContainers setup 127.0.0.1:5000/notation-1:v1 /spec/initContainers/0/image",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func recordedCheck(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/checkimages-kyverno-1.19.1.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(raw) {
		t.Fatal("the recorded request is no JSON")
	}
	return raw
}
