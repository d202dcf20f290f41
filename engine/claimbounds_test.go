package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// spoil attaches n artifacts whose signatures' blobs are not what their digests
// say: as many problems as there are layers.
func (h *harness) spoil(t testing.TB, n int) {
	t.Helper()
	image := h.image(t)
	for i := range n {
		a := h.registry.attach(t, "reg.test/app", "sbom", strings.Repeat(" ", i)+good, image, image)
		var payloads []string
		for j := range evidence.MaxSignatureLayers {
			payloads = append(payloads, fmt.Sprintf("%d-%d", i, j))
		}
		h.registry.sign(t, "reg.test/app", a, payloads...)
		for _, p := range payloads {
			h.registry.blobs[imageref.DigestOf([]byte(p))] = []byte("other")
		}
	}
}

// Whoever may push can make thousands of problems; what is said stays short,
// however many ask.
func TestR1ProblemsOfArtifactsAreBounded(t *testing.T) {
	p := enforce(t, &signer{name: "ci"})
	p.ByName = "tp"
	h := newHarness(t, engine.Options{}, p)
	h.registry.sign(t, "reg.test/app", h.image(t), "ci")
	h.spoil(t, 45)
	r := request("reg.test/app:1")
	r.Policies = []string{"tp"}
	const types = 40
	for range types {
		r.Extra = append(r.Extra, engine.Extra{Artifact: policy.Claim{Type: "sbom", Quantifier: policy.EveryFound}})
	}
	d := h.Decide(t.Context(), r).Images[0]
	if d.Outcome != policy.Undecided {
		t.Errorf("want undecided, got %s", d.Outcome)
	}
	if n := len(d.Policies[0].Finding.Problems); n > types*100 {
		t.Errorf("problems: want at most %d, got %d", types*100, n)
	}
	// Lists, ten signatures each and their manifests.
	if n := h.registry.count(""); n > 45*20 {
		t.Errorf("requests: want at most %d, got %d", 45*20, n)
	}
}

// All artifacts of an image together stay within the decision's bytes.
func TestR1ArtifactsShareTheDecisionsBytes(t *testing.T) {
	h := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(policy.Any, &signer{name: "ci"})}))
	image := h.image(t)
	const each = 900 << 10
	for i := range 45 {
		a := h.registry.attach(t, "reg.test/app", "sbom", strings.Repeat(" ", i)+good, image, image)
		h.registry.manifests["reg.test/app:sha256-"+a.Hex()+".sig"] = signatures(t, i, 6, each)
	}
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.HasPrefix(what, "blob") {
			return &evidence.Problem{Reason: evidence.RegistryUnavailable}
		}
		return nil
	})
	d := h.ask(t.Context(), "reg.test/app:1")
	if d.Outcome != policy.Undecided {
		t.Errorf("want undecided, got %s", d.Outcome)
	}
	if asked := h.registry.count("blob ") * each; asked > evidence.MaxDecisionBytes || asked == 0 {
		t.Errorf("bytes asked for: want some, and at most %d, got %d", evidence.MaxDecisionBytes, asked)
	}
}

// signatures is a cosign manifest with layers that claim a size.
func signatures(t testing.TB, seed, layers, size int) []byte {
	t.Helper()
	var all []descriptor
	for i := range layers {
		all = append(all, descriptor{"application/vnd.dev.cosign.simplesigning.v1+json", imageref.DigestOf(fmt.Append(nil, seed, i)).String(), size})
	}
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": evidence.MediaTypeImage, "layers": all,
		"config": descriptor{"application/vnd.oci.image.config.v1+json", imageref.DigestOf([]byte("{}")).String(), 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// counted counts how often it is evaluated.
type counted struct{ times *atomic.Int64 }

func (counted) String() string { return "counted" }

func (c counted) Check(context.Context, policy.ConditionInput) error {
	c.times.Add(1)
	return nil
}

// A condition over megabytes is evaluated once for a decision, however often the
// policies are weighed.
func TestR1ConditionsAreEvaluatedOnce(t *testing.T) {
	var times atomic.Int64
	ci, other := &signer{name: "ci"}, &signer{name: "other"}
	h := newHarness(t, engine.Options{},
		require(t, policy.All{Of: []policy.Requirement{
			policy.Attestation{Claim: claim(policy.Any, ci, counted{&times})}, policy.Signature{Signer: ci}, policy.Signature{Signer: other},
		}}),
		require(t, policy.Artifact{Claim: claim(policy.Any, ci)}),
	)
	image := h.image(t)
	h.registry.sign(t, "reg.test/app", image, "ci", "other")
	h.registry.attest(t, "reg.test/app", image, "ci sbom "+good)
	for _, state := range []string{"cold", "warm"} {
		times.Store(0)
		h.ask(t.Context(), "reg.test/app:1")
		if n := times.Load(); n != 1 {
			t.Errorf("%s: evaluations of one condition over one statement: want 1, got %d", state, n)
		}
	}
}

// Who names the digest of a private artifact in a repository of its own has not
// shown that it can read it.
func TestR36ContentIsForWhoReadIt(t *testing.T) {
	h := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(policy.Any, &signer{name: "ci"}, says{false})}))
	h.registry.identity = func(p evidence.Puller) string { return p.Namespace }
	image := h.registry.push(t, "reg.test/private:1", "a")
	h.registry.sign(t, "reg.test/private", h.registry.attach(t, "reg.test/private", "sbom", good, image, image), "ci")
	r := request("reg.test/private@" + image.String())
	r.Puller.Namespace = "owner"
	if text := said(h.Decide(t.Context(), r).Images[0]); !strings.Contains(text, "secret-text") {
		t.Fatalf("the owner: want what the artifact says, got %s", text)
	}
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.Contains(what, "blob") || strings.Contains(what, "/private") {
			return &evidence.Problem{Reason: evidence.RegistryUnauthorized}
		}
		return nil
	})
	r = request("reg.test/evil@" + image.String())
	r.Puller.Namespace = "stranger"
	d := h.Decide(t.Context(), r).Images[0]
	if text := said(d); strings.Contains(text, "secret-text") || d.Outcome != policy.Undecided {
		t.Errorf("a stranger: want undecided and nothing that the artifact says, got %s: %s", d.Outcome, text)
	}
}

func said(d engine.ImageDecision) string {
	var b strings.Builder
	for _, p := range d.Policies {
		for _, problem := range p.Finding.Problems {
			b.WriteString(problem.Error() + "\n")
		}
	}
	return b.String()
}

// revoking is a signer whose statements are found revoked, or not at all.
type revoking struct {
	signer
	revoked *atomic.Bool
}

func (r *revoking) VerifyStatement(ctx context.Context, image evidence.Image, item evidence.Item, predicateType string) (policy.Proof, error) {
	switch {
	case !r.revoked.Load():
		return r.signer.VerifyStatement(ctx, image, item, predicateType)
	case item.Layer == 0:
		return policy.Proof{}, &evidence.Problem{Reason: evidence.CertificateRevoked}
	}
	return policy.Proof{}, &evidence.Problem{Reason: evidence.RevocationUnknown}
}

func TestR35RevokedStatementIsNotProvenBefore(t *testing.T) {
	var revoked atomic.Bool
	p := require(t, policy.Attestation{Claim: policy.Claim{Type: "sbom", Signers: []policy.Signature{{Signer: &revoking{signer{name: "ci"}, &revoked}}}}})
	p.OnUndecided = policy.AllowIfProvenBefore
	h := newHarness(t, engine.Options{}, p)
	h.registry.attest(t, "reg.test/app", h.image(t), "ci sbom "+good, "ci sbom  "+good)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	revoked.Store(true)
	h.clock.advance(engine.DefaultProofTTL + time.Minute)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Errorf("one found revoked, the other unknown: want undecided, got %s %v", d.Outcome, reasons(d))
	}
}

// Two who may sign: neither's signature hides the other's, and together they
// are two.
func TestR28ArtifactSignedByTwo(t *testing.T) {
	a, b := &signer{name: "a"}, &signer{name: "b"}
	either := policy.Artifact{Claim: policy.Claim{Type: "sbom", Signers: []policy.Signature{{Signer: a}, {Signer: b}}}}
	cases := map[string]struct {
		reason  string
		require policy.Requirement
		by      []string
		want    policy.Outcome
	}{
		"Both":           {"both ask", policy.All{Of: []policy.Requirement{policy.Artifact{Claim: claim(policy.Any, a)}, policy.Artifact{Claim: claim(policy.Any, b)}}}, []string{"a", "b"}, policy.Allowed},
		"BothByOne":      {"one signed", policy.All{Of: []policy.Requirement{policy.Artifact{Claim: claim(policy.Any, a)}, policy.Artifact{Claim: claim(policy.Any, b)}}}, []string{"b"}, policy.Denied},
		"TwoOfTwo":       {"two identities", policy.AtLeast{Count: 2, Of: []policy.Requirement{either, either}}, []string{"a", "b"}, policy.Allowed},
		"R28TwoOfTwoOne": {"one identity", policy.AtLeast{Count: 2, Of: []policy.Requirement{either, either}}, []string{"a"}, policy.Denied},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, require(t, tc.require))
			image := h.image(t)
			h.registry.sign(t, "reg.test/app", h.registry.attach(t, "reg.test/app", "sbom", good, image, image), tc.by...)
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != tc.want {
				t.Errorf("%s: want %s, got %s %v", tc.reason, tc.want, d.Outcome, reasons(d))
			}
		})
	}
}

// One signer's claim must not be hidden by another's: the tag holds a's
// signature, the referrers of a registry without hints hold b's.
func TestSignersOfOneArtifactInTwoPlaces(t *testing.T) {
	a, b := &signer{name: "a"}, &signer{name: "b"}
	h := newHarness(t, engine.Options{}, require(t, policy.All{Of: []policy.Requirement{
		policy.Artifact{Claim: claim(policy.Any, a)}, policy.Artifact{Claim: claim(policy.Any, b)},
	}}))
	image := h.image(t)
	artifact := h.registry.attach(t, "reg.test/app", "sbom", good, image, image)
	h.registry.sign(t, "reg.test/app", artifact, "a")
	raw, second := h.registry.manifest(t, "reg.test/app", map[string]any{
		"artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json",
		"subject":      descriptor{evidence.MediaTypeImage, artifact.String(), 100},
	}, []string{"b"}, "application/vnd.dev.cosign.simplesigning.v1+json")
	h.registry.referrers[artifact] = []evidence.Descriptor{{Digest: second, Size: int64(len(raw)), ArtifactType: "application/unrelated"}}
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
}

// What is signed and cannot be read is not unsigned, and is not read as if it
// were there.
func TestR32SignedArtifactOfTwoLayers(t *testing.T) {
	for _, q := range []policy.Quantifier{policy.Any, policy.EveryFound} {
		h := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(q, &signer{name: "ci"}, says{true})}))
		image := h.image(t)
		raw, digest := h.registry.manifest(t, "reg.test/app", map[string]any{
			"artifactType": "sbom", "subject": descriptor{evidence.MediaTypeImage, image.String(), 100},
		}, []string{good, good}, "application/json")
		h.registry.referrers[image] = []evidence.Descriptor{{Digest: digest, Size: int64(len(raw)), ArtifactType: "sbom"}}
		h.registry.sign(t, "reg.test/app", digest, "ci")
		d := h.ask(t.Context(), "reg.test/app:1")
		if d.Outcome == policy.Allowed || !slices.Contains(reasons(d), evidence.UnsupportedEvidence) {
			t.Errorf("%s: want it refused as UnsupportedEvidence, got %s %v", q, d.Outcome, reasons(d))
		}
	}
}

// More statements than are read leave what is decided over all of them open.
func TestR5CutStatementsLeaveEveryUndecided(t *testing.T) {
	for q, want := range map[policy.Quantifier]policy.Outcome{policy.Any: policy.Allowed, policy.Every: policy.Undecided} {
		h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(q, &signer{name: "ci"}, says{true})}))
		var all []string
		for i := range evidence.MaxSignatureLayers + 1 {
			all = append(all, "ci sbom "+strings.Repeat(" ", i)+good)
		}
		h.registry.attest(t, "reg.test/app", h.image(t), all...)
		for _, state := range []string{"cold", "warm"} {
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != want {
				t.Errorf("%s, %s: want %s, got %s %v", q, state, want, d.Outcome, reasons(d))
			}
		}
	}
}

// One flight verifies the statements that many ask for at once.
func TestOneVerificationOfStatementsForABurst(t *testing.T) {
	var verified atomic.Int64
	ci := &signer{name: "ci", verified: func() { verified.Add(1) }}
	gate := make(chan struct{})
	h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(policy.Every, ci, says{true})}))
	h.registry.attest(t, "reg.test/app", h.image(t), "ci sbom "+good)
	h.registry.setFault(func(context.Context, string) error { <-gate; return nil })
	var asking, done sync.WaitGroup
	for range 100 {
		asking.Add(1)
		done.Go(func() {
			asking.Done()
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
				t.Errorf("want allowed, got %s", d.Outcome)
			}
		})
	}
	asking.Wait()
	close(gate)
	done.Wait()
	if n := verified.Load(); n != 1 {
		t.Errorf("verifications of 100 requests: want 1, got %d", n)
	}
}
