package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

func repository(name string) imageref.Repository {
	ref, err := imageref.Parse(name + ":x")
	if err != nil {
		panic(err)
	}
	return ref.Repository()
}

func at(name, place string) *signer {
	return &signer{name: name, place: evidence.Place{Repository: repository(place)}}
}

func TestEvidenceInAnotherRepository(t *testing.T) {
	both := func(of ...policy.Requirement) policy.Requirement { return policy.All{Of: of} }
	either := func(of ...policy.Requirement) policy.Requirement { return policy.AnyOf{Of: of} }
	here, there := &signer{name: "here"}, at("there", "reg.test/signatures")
	signed := func(s *signer) policy.Requirement { return policy.Signature{Signer: s} }
	stated := func(s *signer, q policy.Quantifier) policy.Requirement {
		return policy.Attestation{Claim: claim(q, s, says{true})}
	}
	prefixed := &signer{name: "prefixed", place: evidence.Place{TagPrefix: "team-"}}
	cases := map[string]struct {
		reason  string
		require policy.Requirement
		arrange func(h *harness, image imageref.Digest)
		want    policy.Outcome
		because evidence.Reason
	}{
		"There": {
			"signed there", signed(there),
			func(h *harness, image imageref.Digest) { h.registry.sign(t, "reg.test/signatures", image, "there") }, policy.Allowed, "",
		},
		"NotThere": {
			"signed beside the image, where nobody looks", signed(there),
			func(h *harness, image imageref.Digest) { h.registry.sign(t, "reg.test/app", image, "there") }, policy.Denied, evidence.NotSigned,
		},
		"NotHere": {
			"signed there, where nobody looks", signed(here),
			func(h *harness, image imageref.Digest) { h.registry.sign(t, "reg.test/signatures", image, "here") }, policy.Denied, evidence.NotSigned,
		},
		"Both": {
			"each is signed in its place", both(signed(here), signed(there)),
			func(h *harness, image imageref.Digest) {
				h.registry.sign(t, "reg.test/app", image, "here")
				h.registry.sign(t, "reg.test/signatures", image, "there")
			}, policy.Allowed, "",
		},
		"BothSwapped": {
			"each is signed in the other's place", both(signed(here), signed(there)),
			func(h *harness, image imageref.Digest) {
				h.registry.sign(t, "reg.test/app", image, "there")
				h.registry.sign(t, "reg.test/signatures", image, "here")
			}, policy.Denied, evidence.SignerMismatch,
		},
		"Prefix": {
			"under a prefix", both(signed(prefixed), signed(here)),
			func(h *harness, image imageref.Digest) {
				h.registry.sign(t, "reg.test/app", image, "here")
				h.registry.store(t, "reg.test/app:team-sha256-"+image.Hex()+".sig", []string{"prefixed"}, "application/vnd.dev.cosign.simplesigning.v1+json")
			}, policy.Allowed, "",
		},
		"Statements": {
			"stated there", stated(there, policy.Every),
			func(h *harness, image imageref.Digest) {
				h.registry.attest(t, "reg.test/signatures", image, "there sbom "+good)
			}, policy.Allowed, "",
		},
		"StatementsNotHere": {
			"stated beside the image", stated(there, policy.Any),
			func(h *harness, image imageref.Digest) {
				h.registry.attest(t, "reg.test/app", image, "there sbom "+good)
			}, policy.Denied, evidence.NotAttested,
		},
		"EveryOfBothPlaces": {
			"one of two places has a bad statement", policy.Attestation{Claim: policy.Claim{
				Type: "sbom", Quantifier: policy.Every, Signers: []policy.Signature{{Signer: here}, {Signer: there}}, Conditions: []policy.Condition{says{true}},
			}},
			func(h *harness, image imageref.Digest) {
				h.registry.attest(t, "reg.test/app", image, "here sbom "+good)
				h.registry.attest(t, "reg.test/signatures", image, "there sbom "+bad)
			}, policy.Denied, evidence.ConditionNotMet,
		},
		"R5EveryBesideAnOutage": {
			"one of two places cannot be read", policy.Attestation{Claim: policy.Claim{
				Type: "sbom", Quantifier: policy.Every, Signers: []policy.Signature{{Signer: here}, {Signer: there}}, Conditions: []policy.Condition{says{true}},
			}},
			func(h *harness, image imageref.Digest) {
				h.registry.attest(t, "reg.test/app", image, "here sbom "+good)
				h.registry.closed = closing("reg.test/signatures")
			}, policy.Undecided, evidence.CredentialsFailed,
		},
		"ClosedButNotNeeded": {
			"the place that suffices can be read", either(signed(here), signed(there)),
			func(h *harness, image imageref.Digest) {
				h.registry.sign(t, "reg.test/app", image, "here")
				h.registry.closed = closing("reg.test/signatures")
			}, policy.Allowed, "",
		},
		"R48Closed": {
			"the place cannot be opened", both(signed(here), signed(there)),
			func(h *harness, image imageref.Digest) {
				h.registry.sign(t, "reg.test/app", image, "here")
				h.registry.closed = closing("reg.test/signatures")
			}, policy.Undecided, evidence.CredentialsFailed,
		},
		"R48Panics": {
			"a read of the place panics", both(signed(here), signed(there)),
			func(h *harness, image imageref.Digest) {
				h.registry.sign(t, "reg.test/app", image, "here")
				h.registry.setFault(func(_ context.Context, what string) error {
					if strings.Contains(what, "reg.test/signatures") {
						panic("boom")
					}
					return nil
				})
			}, policy.Undecided, evidence.Internal,
		},
		"R22OfAnotherImage": {
			"signed there, for another image", signed(there),
			func(h *harness, _ imageref.Digest) {
				h.registry.sign(t, "reg.test/signatures", h.registry.push(t, "reg.test/other:1", "b"), "there")
			}, policy.Denied, evidence.NotSigned,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, require(t, tc.require))
			tc.arrange(h, h.image(t))
			for _, state := range []string{"cold", "warm"} {
				d := h.ask(t.Context(), "reg.test/app:1")
				if d.Outcome != tc.want || (tc.because != "" && !slices.Contains(reasons(d), tc.because)) {
					t.Errorf("%s, %s: want %s (%s), got %s %v", tc.reason, state, tc.want, tc.because, d.Outcome, reasons(d))
				}
			}
		})
	}
}

// closing closes one repository: its credentials cannot be had.
func closing(name string) func(imageref.Repository) error {
	return func(r imageref.Repository) error {
		if r.String() == name {
			return &evidence.Problem{Reason: evidence.CredentialsFailed}
		}
		return nil
	}
}

func TestPlacesCostOneDiscoveryEach(t *testing.T) {
	there, too := at("there", "reg.test/signatures"), at("too", "reg.test/signatures")
	h := newHarness(t, engine.Options{}, require(t, policy.All{Of: []policy.Requirement{
		policy.Signature{Signer: &signer{name: "here"}}, policy.Signature{Signer: at("same", "reg.test/app")},
		policy.Signature{Signer: there}, policy.Signature{Signer: too}, policy.Attestation{Claim: claim(policy.Any, too, says{true})},
	}}))
	image := h.image(t)
	h.registry.sign(t, "reg.test/app", image, "here", "same")
	h.registry.sign(t, "reg.test/signatures", image, "there", "too")
	h.registry.attest(t, "reg.test/signatures", image, "too sbom "+good)
	ref := "reg.test/app@" + image.String()
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	// The manifest; a tag and a list here, two tags and a list there; five layers.
	if n := h.registry.count(""); n != 1+2+3+5 {
		t.Errorf("cold: want 11 requests, got %d: %v", n, h.registry.asked)
	}
	if n := h.registry.count("manifest reg.test/app@"); n != 1 {
		t.Errorf("reads of the image: want 1, got %d", n)
	}
	if n := h.registry.count("manifest reg.test/signatures@"); n != 0 {
		t.Errorf("reads of the image where only its signatures are: want none, got %d", n)
	}
	if want := []string{"reg.test/app", "reg.test/signatures"}; !slices.Equal(slices.Compact(slices.Sorted(slices.Values(h.registry.opened))), want) || len(h.registry.opened) != 2 {
		t.Errorf("opened: want each of %v once, got %v", want, h.registry.opened)
	}
	before := h.registry.count("")
	h.ask(t.Context(), ref)
	if n := h.registry.count("") - before; n != 0 {
		t.Errorf("warm: want no request, got %d", n)
	}
}

// What is read in a place is for those whose credentials read it there.
func TestR36PlacesAreReadWithTheirOwnCredentials(t *testing.T) {
	h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(policy.Any, at("ci", "reg.test/signatures"), says{true})}))
	h.registry.identityAt = func(p evidence.Puller, r imageref.Repository) string {
		if r.String() == "reg.test/signatures" {
			return p.Namespace
		}
		return "everybody"
	}
	image := h.image(t)
	h.registry.attest(t, "reg.test/signatures", image, "ci sbom "+good)
	r := request("reg.test/app:1")
	r.Puller.Namespace = "owner"
	if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != policy.Allowed {
		t.Fatalf("the owner: want allowed, got %s %v", d.Outcome, reasons(d))
	}
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.Contains(what, "reg.test/signatures") || strings.Contains(what, "blob") {
			return &evidence.Problem{Reason: evidence.RegistryUnauthorized}
		}
		return nil
	})
	r.Puller.Namespace = "stranger"
	if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != policy.Undecided {
		t.Errorf("a stranger to the place: want undecided, got %s", d.Outcome)
	}
	// Nor is it for those who may read the place, and not the image.
	h.registry.identityAt = func(p evidence.Puller, r imageref.Repository) string {
		if r.String() == "reg.test/signatures" {
			return "owner"
		}
		return p.Namespace
	}
	if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != policy.Undecided {
		t.Errorf("a stranger to the image: want undecided, got %s", d.Outcome)
	}
}

func TestR22ArtifactSignedInAnotherRepository(t *testing.T) {
	for repo, want := range map[string]policy.Outcome{"reg.test/signatures": policy.Allowed, "reg.test/app": policy.Denied} {
		there := at("there", "reg.test/signatures")
		h := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(policy.EveryFound, there, says{true})}))
		image := h.image(t)
		h.registry.sign(t, repo, h.registry.attach(t, "reg.test/app", "sbom", good, image, image), "there")
		if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != want {
			t.Errorf("signed in %s: want %s, got %s %v", repo, want, d.Outcome, reasons(d))
		}
	}
	unknown := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(policy.Any, at("there", "reg.test/signatures"))}))
	image := unknown.image(t)
	unknown.registry.attach(t, "reg.test/app", "sbom", good, image, image)
	unknown.registry.closed = closing("reg.test/signatures")
	if d := unknown.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Errorf("a place that cannot be opened: want undecided, got %s %v", d.Outcome, reasons(d))
	}
	// Signers of one artifact may be in two places.
	both := policy.All{Of: []policy.Requirement{
		policy.Artifact{Claim: claim(policy.Any, &signer{name: "here"})}, policy.Artifact{Claim: claim(policy.Any, at("there", "reg.test/signatures"))},
	}}
	h := newHarness(t, engine.Options{}, require(t, both))
	image = h.image(t)
	a := h.registry.attach(t, "reg.test/app", "sbom", good, image, image)
	h.registry.sign(t, "reg.test/app", a, "here")
	h.registry.sign(t, "reg.test/signatures", a, "there")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("signed in both: want allowed, got %s %v", d.Outcome, reasons(d))
	}
}

// A registry of its own that is down is an outage like any; what it excuses
// depends on its own name (TRUST R41).
func TestR41OutageOfAPlace(t *testing.T) {
	for host, want := range map[string]policy.Outcome{"signatures.test": policy.Allowed, "reg.test": policy.Undecided} {
		p := enforce(t, at("there", "signatures.test/all"))
		p.OnUndecided = policy.AllowUndecidedUnsafe
		h := newHarness(t, engine.Options{NamedHost: func(h string) bool { return h == host }}, p)
		h.image(t)
		h.registry.setFault(func(_ context.Context, what string) error {
			if strings.Contains(what, "signatures.test") {
				return &evidence.Problem{Reason: evidence.RegistryUnavailable, Host: "signatures.test"}
			}
			return nil
		})
		if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != want {
			t.Errorf("%s is named: want %s, got %s %v", host, want, d.Outcome, reasons(d))
		}
	}
}

// blind is an observer that panics over evidence.
type blind struct{}

func (blind) CacheLooked(cache string, _ bool) {
	if cache == "evidence" {
		panic("boom")
	}
}
func (blind) Verified(policy.Outcome) {}

func TestR48PanicOverAPlace(t *testing.T) {
	h := newHarness(t, engine.Options{Observer: blind{}}, require(t, policy.All{Of: []policy.Requirement{
		policy.Signature{Signer: &signer{name: "here"}}, policy.Signature{Signer: at("there", "reg.test/signatures")},
	}}))
	h.image(t)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Errorf("want undecided, got %s", d.Outcome)
	}
}
