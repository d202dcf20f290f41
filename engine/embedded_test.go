package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// reader is a signer that also reads what an index holds: "type document", for
// the image whose digest the test says it is about.
type reader struct {
	signer
	read atomic.Int64
}

func (r *reader) ReadCovered(image evidence.Image, item evidence.Item, predicateType string, by policy.Proof) (policy.Proof, error) {
	r.read.Add(1)
	parts := strings.SplitN(string(item.Payload), " ", 3)
	switch {
	case item.Format != evidence.Embedded || by.Identity == "":
		return policy.Proof{}, errBoom
	case parts[0] != image.Digest().String():
		return policy.Proof{}, &evidence.Problem{Reason: evidence.SubjectMismatch, Got: parts[0]}
	case parts[1] != predicateType:
		return policy.Proof{}, &evidence.Problem{Reason: evidence.NotAttested, Expected: predicateType, Got: parts[1]}
	}
	return policy.Proof{
		Identity: by.Identity, Time: by.Time, Testimony: by.Testimony, Source: fmt.Sprintf("embedded %s[%d]", item.Manifest, item.Layer),
		Statement: policy.NewArtifact(predicateType, []byte(parts[2])),
	}, nil
}

// embedded is a claim that also counts what the index holds.
func embedded(q policy.Quantifier, signers ...policy.Signer) policy.Attestation {
	c := policy.Claim{Type: "sbom", Quantifier: q, Conditions: []policy.Condition{says{true}}, Embedded: true}
	for _, s := range signers {
		c.Signers = append(c.Signers, policy.Signature{Signer: s})
	}
	return policy.Attestation{Claim: c}
}

// holds stores a manifest of statements about an image and returns its entry in
// the index.
func (h *harness) holds(t testing.TB, about imageref.Digest, documents ...string) child {
	t.Helper()
	var contents []string
	for _, d := range documents {
		contents = append(contents, about.String()+" "+d)
	}
	digest := h.registry.store(t, "reg.test/app:holds-"+about.Hex()[:8], contents, "application/vnd.in-toto+json")
	return child{digest: digest, platform: "unknown/unknown", about: about.String()}
}

// built pushes an index of two platforms as BuildKit makes it, with what it holds
// about each.
func (h *harness) built(t testing.TB, amd64, arm64 []string) (index imageref.Digest, children []imageref.Digest) {
	t.Helper()
	one, two := h.registry.push(t, "reg.test/app:amd64", "amd64"), h.registry.push(t, "reg.test/app:arm64", "arm64")
	entries := []child{{digest: one, platform: "linux/amd64"}, {digest: two, platform: "linux/arm64"}}
	if amd64 != nil {
		entries = append(entries, h.holds(t, one, amd64...))
	}
	if arm64 != nil {
		entries = append(entries, h.holds(t, two, arm64...))
	}
	return h.registry.indexOf(t, "reg.test/app:1", entries...), []imageref.Digest{one, two}
}

func TestR31EmbeddedStatements(t *testing.T) {
	yes, no := []string{"sbom " + good}, []string{"sbom " + bad}
	cases := map[string]struct {
		reason       string
		quantifier   policy.Quantifier
		amd64, arm64 []string
		by           string                             // who signed the index
		more         func(*harness, ...imageref.Digest) // what else there is, of the platforms
		want         policy.Outcome
		because      evidence.Reason
	}{
		"Covered":      {"under a signature of the index", policy.Any, yes, yes, "ci", nil, policy.Allowed, ""},
		"CoveredEvery": {"of which all hold", policy.Every, yes, yes, "ci", nil, policy.Allowed, ""},
		"Unsigned":     {"nobody signed the index", policy.Any, yes, yes, "", nil, policy.Denied, evidence.NotAttested},
		"BySomebody":   {"somebody signed it", policy.Any, yes, yes, "eve", nil, policy.Denied, evidence.NotAttested},
		"OneHasNone":   {"about each platform", policy.Any, yes, nil, "ci", nil, policy.Denied, evidence.NotAttested},
		"OtherType":    {"of the asked type", policy.Any, yes, []string{"scan " + good}, "ci", nil, policy.Denied, evidence.NotAttested},
		"Unmet":        {"that say it", policy.Any, yes, no, "ci", nil, policy.Denied, evidence.ConditionNotMet},
		"EveryUnmet":   {"all of them", policy.Every, yes, []string{"sbom " + good, "sbom " + bad}, "ci", nil, policy.Denied, evidence.ConditionNotMet},
		"SignedPlatforms": {"a signature of a platform covers nothing beside it", policy.Any, yes, yes, "", func(h *harness, platforms ...imageref.Digest) {
			for _, p := range platforms {
				h.registry.sign(t, "reg.test/app", p, "ci")
			}
		}, policy.Denied, evidence.NotAttested},
		"OwnStatements": {"signed ones count as ever", policy.Any, nil, nil, "", func(h *harness, platforms ...imageref.Digest) {
			for _, p := range platforms {
				h.registry.attest(t, "reg.test/app", p, "ci sbom "+good)
			}
		}, policy.Allowed, ""},
		"OwnStatementsAndHeld": {"every one of both kinds must hold", policy.Every, yes, yes, "ci", func(h *harness, platforms ...imageref.Digest) {
			h.registry.attest(t, "reg.test/app", platforms[0], "ci sbom "+bad)
		}, policy.Denied, evidence.ConditionNotMet},
		"EveryOwnAndHeldUnmet": {"own ones that hold do not do for the rest", policy.Every, yes, no, "ci", func(h *harness, platforms ...imageref.Digest) {
			for _, p := range platforms {
				h.registry.attest(t, "reg.test/app", p, "ci sbom "+good)
			}
		}, policy.Denied, evidence.ConditionNotMet},
		"EveryUncovered": {"held ones that are not covered neither count nor harm", policy.Every, no, no, "", func(h *harness, platforms ...imageref.Digest) {
			for _, p := range platforms {
				h.registry.attest(t, "reg.test/app", p, "ci sbom "+good)
			}
		}, policy.Allowed, ""},
		"R5IndexUnknown": {"who signed the index is not known", policy.Any, yes, yes, "ci", func(h *harness, _ ...imageref.Digest) {
			h.registry.setFault(func(_ context.Context, what string) error { return outageOf(what, h.index.Hex()+".sig") })
		}, policy.Undecided, evidence.RegistryUnavailable},
		"R5HeldUnreadable": {"what it holds cannot be read", policy.Any, yes, yes, "ci", func(h *harness, platforms ...imageref.Digest) {
			held := imageref.DigestOf([]byte(platforms[1].String() + " " + yes[0]))
			h.registry.setFault(func(_ context.Context, what string) error { return outageOf(what, held.Hex()) })
		}, policy.Undecided, evidence.RegistryUnavailable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, each(require(t, embedded(tc.quantifier, &reader{signer: signer{name: "ci"}}))))
			index, platforms := h.built(t, tc.amd64, tc.arm64)
			h.index = index
			if tc.by != "" {
				h.registry.sign(t, "reg.test/app", index, tc.by)
			}
			if tc.more != nil {
				tc.more(h, platforms...)
			}
			for _, state := range []string{"cold", "warm"} {
				d := h.ask(t.Context(), "reg.test/app:1")
				if d.Outcome != tc.want || (tc.because != "" && !slices.Contains(reasons(d), tc.because)) {
					t.Errorf("%s, %s: want %s (%s), got %s %v", tc.reason, state, tc.want, tc.because, d.Outcome, reasons(d))
				}
			}
		})
	}
}

// What an index holds counts for no claim but those that say so, and for no
// policy about the index itself, whatever is remembered.
func TestR31EmbeddedStatementsCountForThatClaimAlone(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}}
	plain := embedded(policy.Any, ci)
	plain.Embedded = false
	name := func(p policy.Policy, n string) policy.Policy { p.ByName = n; return p }
	h := newHarness(t, engine.Options{},
		name(each(require(t, embedded(policy.Any, ci))), "embedded"), name(each(require(t, plain)), "plain"), name(require(t, embedded(policy.Any, ci)), "index"))
	index, platforms := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
	h.registry.sign(t, "reg.test/app", index, "ci")
	for range 2 {
		for n, want := range map[string]policy.Outcome{"embedded": policy.Allowed, "plain": policy.Denied, "index": policy.Denied} {
			r := request("reg.test/app:1", "reg.test/app@"+platforms[0].String())
			r.Policies = []string{n}
			d := h.Decide(t.Context(), r)
			if got := d.Images[0].Outcome; got != want {
				t.Errorf("%s: want %s, got %s %v", n, want, got, reasons(d.Images[0]))
			}
			// Asked for by its own digest, a platform hangs on no index.
			if got := d.Images[1].Outcome; got != policy.Denied {
				t.Errorf("%s, the platform alone: want denied, got %s", n, got)
			}
		}
	}
}

// Two claims about one type are two, even in one policy.
func TestR31EmbeddedStatementsCountForNoClaimBesideIt(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}}
	plain := embedded(policy.Any, ci)
	plain.Embedded = false
	h := newHarness(t, engine.Options{}, each(require(t, policy.All{Of: []policy.Requirement{embedded(policy.Any, ci), plain}})))
	index, _ := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
	h.registry.sign(t, "reg.test/app", index, "ci")
	d := h.ask(t.Context(), "reg.test/app:1")
	if d.Outcome != policy.Denied {
		t.Fatalf("want denied, got %s", d.Outcome)
	}
	for i, want := range []policy.Outcome{policy.Allowed, policy.Denied} {
		if got := d.Policies[0].Finding.Children[0].Children[i].Outcome; got != want {
			t.Errorf("claim %d: want %s, got %s", i, want, got)
		}
	}
}

// What could not all be read is not remembered as all there is.
func TestR37PartOfWhatAnIndexHoldsIsNotRemembered(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}}
	h := newHarness(t, engine.Options{}, each(require(t, embedded(policy.Any, ci)), "linux/amd64"))
	index, platforms := h.built(t, []string{"sbom " + good, "sbom " + bad}, nil)
	h.registry.sign(t, "reg.test/app", index, "ci")
	held := imageref.DigestOf([]byte(platforms[0].String() + " sbom " + bad))
	h.registry.setFault(func(_ context.Context, what string) error { return outageOf(what, held.Hex()) })
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("one suffices: want allowed, got %s %v", d.Outcome, reasons(d))
	}
	h.registry.setFault(nil)
	h.Swap(engine.NewSnapshot([]policy.Policy{each(require(t, embedded(policy.Every, ci)), "linux/amd64")}))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("every one must hold: want denied, got %s %v", d.Outcome, reasons(d))
	}
}

// A signer that another claim trusts covers nothing for this one.
func TestR31EmbeddedStatementsNeedTheClaimsOwnSigner(t *testing.T) {
	ci, release := &reader{signer: signer{name: "ci"}}, &reader{signer: signer{name: "release"}}
	h := newHarness(t, engine.Options{}, each(require(t, policy.All{Of: []policy.Requirement{
		policy.AnyOf{Of: []policy.Requirement{embedded(policy.Any, release), policy.Static{Allow: true}}}, embedded(policy.Any, ci),
	}})))
	index, _ := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
	h.registry.sign(t, "reg.test/app", index, "release")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("want denied, got %s", d.Outcome)
	}
}

func TestR31EmbeddedStatementsOfNestedIndexes(t *testing.T) {
	for by, want := range map[string]policy.Outcome{"outer": policy.Allowed, "inner": policy.Allowed, "image": policy.Denied} {
		h := newHarness(t, engine.Options{}, each(require(t, embedded(policy.Any, &reader{signer: signer{name: "ci"}}))))
		image := h.registry.push(t, "reg.test/app:image", "image")
		inner := h.registry.indexOf(t, "reg.test/app:inner", child{digest: image, platform: "linux/amd64"}, h.holds(t, image, "sbom "+good))
		outer := h.registry.indexOf(t, "reg.test/app:1", child{digest: inner, mediaType: evidence.MediaTypeIndex})
		h.registry.sign(t, "reg.test/app", map[string]imageref.Digest{"outer": outer, "inner": inner, "image": image}[by], "ci")
		for range 2 {
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != want {
				t.Errorf("signed is the %s: want %s, got %s %v", by, want, d.Outcome, reasons(d))
			}
		}
	}
}

// What an index holds ends with the proof that covers it, and what is remembered
// of it is worth nothing without.
func TestR35EmbeddedStatementsEndWithTheirCover(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}}
	h := newHarness(t, engine.Options{}, each(require(t, embedded(policy.Any, ci))))
	index, _ := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
	h.registry.sign(t, "reg.test/app", index, "ci")
	ci.expires = h.clock.Now().Add(5 * time.Minute)
	for range 2 {
		d := h.ask(t.Context(), "reg.test/app:1")
		if d.Outcome != policy.Allowed {
			t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
		}
		if got := d.Policies[0].Finding.Children[0].Proofs[0].Expires; !got.Equal(ci.expires) {
			t.Errorf("expiry of what is covered: want %s, got %s", ci.expires, got)
		}
	}
	if n := ci.read.Load(); n != 2 {
		t.Errorf("reads of two statements, twice: want 2, got %d", n)
	}
	h.clock.advance(6 * time.Minute)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("the signature of the index has expired: want denied, got %s %v", d.Outcome, reasons(d))
	}
	ci.expires = time.Time{}
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("signed again: want allowed, got %s %v", d.Outcome, reasons(d))
	}
	h.clock.advance(time.Minute)
	ci.err = &evidence.Problem{Reason: evidence.CertificateRevoked}
	h.Swap(engine.NewSnapshot([]policy.Policy{each(require(t, policy.All{Of: []policy.Requirement{embedded(policy.Any, ci), policy.Signature{Signer: ci}}}))}))
	h.clock.advance(engine.DefaultProofTTL)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("revoked: want denied, got %s %v", d.Outcome, reasons(d))
	}
}

// In an outage what was proven before stands for those that say so, and only
// with the proof that covered it.
func TestR35EmbeddedStatementsProvenBefore(t *testing.T) {
	for choice, want := range map[policy.OnUndecided]policy.Outcome{policy.AllowIfProvenBefore: policy.Allowed, policy.DenyUndecided: policy.Undecided} {
		p := each(require(t, embedded(policy.Any, &reader{signer: signer{name: "ci"}})))
		p.OnUndecided = choice
		h := newHarness(t, engine.Options{}, p)
		index, _ := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
		h.registry.sign(t, "reg.test/app", index, "ci")
		ref := "reg.test/app@" + index.String()
		if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
			t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
		}
		h.clock.advance(engine.DefaultProofTTL + time.Minute)
		h.registry.setFault(func(context.Context, string) error { return &evidence.Problem{Reason: evidence.RegistryUnavailable} })
		if d := h.ask(t.Context(), ref); d.Outcome != want {
			t.Errorf("%s: want %s, got %s %v", choice, want, d.Outcome, reasons(d))
		}
	}
}

// A cover that is known to be none any more covers nothing that was read before.
func TestR35EmbeddedStatementsOfARevokedCover(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}}
	p := each(require(t, embedded(policy.Any, ci)))
	p.OnUndecided = policy.AllowIfProvenBefore
	h := newHarness(t, engine.Options{}, p)
	index, _ := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
	h.registry.sign(t, "reg.test/app", index, "ci")
	ref := "reg.test/app@" + index.String()
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	h.clock.advance(engine.DefaultProofTTL + time.Minute)
	ci.err = &evidence.Problem{Reason: evidence.CertificateRevoked}
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Denied {
		t.Fatalf("revoked: want denied, got %s %v", d.Outcome, reasons(d))
	}
	h.clock.advance(time.Minute)
	h.registry.setFault(func(context.Context, string) error { return &evidence.Problem{Reason: evidence.RegistryUnavailable} })
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Undecided {
		t.Errorf("revoked, and now not to be told: want undecided, got %s %v", d.Outcome, reasons(d))
	}
}

func TestR36EmbeddedStatementsAreForWhoCanReadThem(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(require(t, embedded(policy.Any, &reader{signer: signer{name: "ci"}}))))
	h.registry.identity = func(p evidence.Puller) string { return p.Namespace }
	index, _ := h.built(t, []string{"sbom " + bad}, []string{"sbom " + bad})
	h.registry.sign(t, "reg.test/app", index, "ci")
	r := request("reg.test/app@" + index.String())
	r.Puller.Namespace = "owner"
	if text := said(h.Decide(t.Context(), r).Images[0]); !strings.Contains(text, "secret-text") {
		t.Fatalf("the owner: want what the statement says, got %s", text)
	}
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.Contains(what, "blob") {
			return &evidence.Problem{Reason: evidence.RegistryUnauthorized}
		}
		return nil
	})
	r.Puller.Namespace = "stranger"
	d := h.Decide(t.Context(), r).Images[0]
	if text := said(d); strings.Contains(text, "secret-text") || d.Outcome != policy.Undecided {
		t.Errorf("a stranger: want undecided and nothing that the statement says, got %s: %s", d.Outcome, text)
	}
}

// Two who signed one index are two; one signature is one, whoever reads under it.
func TestR28EmbeddedStatementsFillTheSlotOfTheirCover(t *testing.T) {
	a, b := &reader{signer: signer{name: "a"}}, &reader{signer: signer{name: "b"}}
	for signed, want := range map[string]policy.Outcome{"a,b": policy.Allowed, "a": policy.Denied, "b": policy.Denied} {
		h := newHarness(t, engine.Options{}, each(require(t, policy.AtLeast{Count: 2, Of: []policy.Requirement{embedded(policy.Any, a, b), embedded(policy.Any, a, b)}})))
		index, _ := h.built(t, []string{"sbom " + good}, []string{"sbom " + good})
		h.registry.sign(t, "reg.test/app", index, strings.Split(signed, ",")...)
		if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != want {
			t.Errorf("signed by %s: want %s, got %s %v", signed, want, d.Outcome, reasons(d))
		}
	}
}

func TestEmbeddedStatementsAreReadOnce(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}}
	second := embedded(policy.Any, ci)
	second.Type = "scan"
	h := newHarness(t, engine.Options{}, each(require(t, policy.All{Of: []policy.Requirement{embedded(policy.Every, ci), second}})))
	documents := []string{"sbom " + good, "scan " + good}
	index, _ := h.built(t, documents, documents)
	h.registry.sign(t, "reg.test/app", index, "ci")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	asked := slices.Sorted(slices.Values(h.registry.asked))
	if once := slices.Compact(slices.Clone(asked)); len(once) != len(asked) {
		t.Errorf("want each thing asked once, got %v", asked)
	}
	before := h.registry.count("")
	h.ask(t.Context(), "reg.test/app:1")
	if n := h.registry.count("") - before; n != 0 {
		t.Errorf("warm: want no request, got %d: %v", n, h.registry.asked[before:])
	}
}
