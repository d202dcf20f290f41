package sigstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/sigstore"
)

const corpus = "../testdata/corpus"

// TestCorpusAttestations verifies what the real cosign wrote.
func TestCorpusAttestations(t *testing.T) {
	cases, err := fixture.ReadCorpus(corpus)
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[evidence.Format]int{}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			for i, check := range c.Checks {
				if check.Attestation == "" || check.Signer.Key == "" {
					continue
				}
				format, outcome := corpusSays(t, c, check)
				if outcome != check.Outcome {
					t.Errorf("check %d of %q by %s: want %s, got %s", i, check.Attestation, check.Signer.Key, check.Outcome, outcome)
				}
				allowed[format]++
			}
		})
	}
	if allowed[evidence.Envelope] == 0 || allowed[evidence.Bundle] == 0 {
		t.Errorf("want attestations of both formats in the corpus, got %v", allowed)
	}
}

// corpusSays returns the first item's format that attests, and what that means.
func corpusSays(t *testing.T, c fixture.Case, check fixture.Check) (evidence.Format, string) {
	t.Helper()
	layout, err := registry.OpenLayout(c.Dir, imageref.Repository{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = layout.Close() }()
	pem, err := os.ReadFile(filepath.Join(corpus, check.Signer.Key))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sigstore.NewKey(pem, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: check.Signer.Annotations}})
	if err != nil {
		t.Fatal(err)
	}
	text := check.Digest
	if text == "" {
		text = c.Digest
	}
	digest, err := imageref.ParseDigest(text)
	if err != nil {
		t.Fatal(err)
	}
	image, err := evidence.Resolve(t.Context(), layout, layout.Repository().WithDigest(digest))
	if err != nil {
		t.Fatal(err)
	}
	set, err := evidence.Discover(t.Context(), layout, image, s.StatementNeed())
	if err != nil || len(set.Problems) > 0 {
		t.Fatalf("discover: %v, %v", err, set.Problems)
	}
	for _, item := range set.Items {
		proof, err := s.VerifyStatement(t.Context(), image, item, check.Attestation)
		if err != nil {
			t.Log(err)
			continue
		}
		if _, err := proof.Statement.Predicate(); err != nil {
			t.Fatal(err)
		}
		return item.Format, "allowed"
	}
	return 0, "denied"
}
