package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// pushList stores a referrers tag that names n referrers, made by each.
func (r *registry) pushList(t *testing.T, repository string, digest imageref.Digest, n int, each func(i int) map[string]any) {
	t.Helper()
	var entries []map[string]any
	for i := range n {
		entries = append(entries, each(i))
	}
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[repository+":sha256-"+digest.Hex()] = raw
}

// Whoever may push can make a list as long as a manifest may be; neither time
// nor memory follows it.
func TestR1LongListsCostLittle(t *testing.T) {
	lists := map[string]func(i int) map[string]any{
		"Oversized": func(i int) map[string]any {
			return map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": imageref.DigestOf([]byte(fmt.Sprint(i))).String(), "size": 5<<20 + i}
		},
		"Unrelated": func(i int) map[string]any {
			return map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": imageref.DigestOf([]byte(fmt.Sprint(i))).String(), "size": 100, "artifactType": "application/x-" + fmt.Sprint(i)}
		},
	}
	for name, each := range lists {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
			digest := h.registry.push(t, "reg.test/app:1", "a")
			h.registry.pushList(t, "reg.test/app", digest, 20_000, each)
			before := h.registry.count("")
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome == policy.Allowed {
				t.Fatalf("want it refused, got %s", d.Outcome)
			}
			if got := len(d.Policies[0].Finding.Problems); got > 200 {
				t.Errorf("problems of a list of 20,000: want at most 200, got %d", got)
			}
			if got := h.registry.count("") - before; got > 60 {
				t.Errorf("requests for a list of 20,000: want at most 60, got %d", got)
			}
		})
	}
}

// Junk that cannot be read leaves a decision open, but it does not bring a
// revoked signature back.
func TestR35RevocationIsNotHiddenByJunk(t *testing.T) {
	s := &signer{name: "release"}
	p := enforce(t, s)
	p.OnUndecided = policy.AllowIfProvenBefore
	h := newHarness(t, engine.Options{}, p)
	digest := h.registry.push(t, "reg.test/app:1", "a")
	h.registry.sign(t, "reg.test/app", digest, "release")
	ref := "reg.test/app@" + digest.String()
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s", d.Outcome)
	}
	h.clock.advance(2 * time.Hour)
	s.err = &evidence.Problem{Reason: evidence.CertificateRevoked}
	h.registry.sign(t, "reg.test/app", digest, "release", "junk")
	junk := imageref.DigestOf([]byte("junk")).String()
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.HasSuffix(what, junk) {
			return &evidence.Problem{Reason: evidence.LimitExceeded}
		}
		return nil
	})
	if d := h.ask(t.Context(), ref); d.Outcome == policy.Allowed {
		t.Errorf("revoked, beside a layer that cannot be read: want it refused, got %s", d.Outcome)
	}
}

// A first look that finds only a stranger's signature does not forget what a
// fuller one would have found.
func TestR35FirstLookDoesNotForget(t *testing.T) {
	p := enforce(t, &signer{name: "release"})
	p.OnUndecided = policy.AllowIfProvenBefore
	h := newHarness(t, engine.Options{}, p)
	digest := h.registry.push(t, "reg.test/app:1", "a")
	h.registry.sign(t, "reg.test/app", digest, "release")
	ref := "reg.test/app@" + digest.String()
	h.ask(t.Context(), ref)
	h.clock.advance(2 * time.Hour)
	h.registry.sign(t, "reg.test/app", digest, "mallory")
	h.registry.setFault(func(_ context.Context, what string) error {
		if what == "manifest reg.test/app:sha256-"+digest.Hex() {
			return &evidence.Problem{Reason: evidence.RegistryUnavailable, Host: "reg.test"}
		}
		return nil
	})
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
		t.Errorf("proven before, and now not to be told: want allowed, got %s %v", d.Outcome, reasons(d))
	}
}

func TestR48PanickingSourceIsUndecided(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.registry.push(t, "reg.test/app:1", "a")
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.HasPrefix(what, "referrers") {
			panic("boom")
		}
		return nil
	})
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Errorf("want undecided, got %s", d.Outcome)
	}
}

// A group is open because of an outage like any signer is.
func TestR41AllowCoversGroups(t *testing.T) {
	s := &signer{name: "release"}
	p := enforce(t, s)
	p.Require = policy.AtLeast{Count: 1, Of: []policy.Requirement{policy.Signature{Signer: s}}}
	p.OnUndecided = policy.AllowUndecidedUnsafe
	h := newHarness(t, engine.Options{NamedHost: func(host string) bool { return host == "reg.test" }}, p)
	h.registry.setFault(func(context.Context, string) error {
		return &evidence.Problem{Reason: evidence.RegistryTimeout, Host: "reg.test"}
	})
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("want allowed, got %s", d.Outcome)
	}
}
