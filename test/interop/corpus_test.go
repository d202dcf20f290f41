//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// direction says which of the two takes more.
type direction string

const (
	laxer    direction = "cosign allows what we deny"
	stricter direction = "cosign denies what we allow"
)

// differences are where cosign's answers are known to differ from the corpus's,
// by the reason that the case files give.
func differences() map[string]direction {
	return map[string]direction{
		"cosign verify takes any statement of the key for a signature":                       laxer,
		"cosign is told of the identity in a bundle's certificate, not of the certificate":   laxer,
		"cosign requires a timestamp only once the certificate has expired":                  laxer,
		"cosign has no flag for this extension of the certificate":                           laxer,
		"cosign does not look for what repository a shared workflow built":                   laxer,
		"cosign looks at timestamps only if they are required":                               stricter,
		"cosign signs with pre-hashed Ed25519 and verifies it as if it were not":             stricter,
		"cosign signs with the hash of the curve and verifies by a certificate with SHA-256": stricter,
	}
}

const corpus = "../../testdata/corpus"

// TestCosignAgreesWithTheCorpus pushes every case to a registry of the CNCF and
// asks cosign the questions that the case file answers.
func TestCosignAgreesWithTheCorpus(t *testing.T) {
	cases, err := fixture.ReadCorpus(corpus)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(corpus)
	if err != nil {
		t.Fatal(err)
	}
	known := differences()
	var seen sync.Map
	store := fixture.NewStore(rig.StartRegistry(t).Host, http.DefaultTransport, false)
	cosign := rig.NewCosign(t)
	t.Run("Cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				asked := question{store: store, cosign: cosign, dir: dir, c: c}
				asked.push(t)
				for i, check := range c.Checks {
					if check.Signer.Store != "" {
						continue // Notation's
					}
					want := check.Outcome == "allowed"
					if check.Foreign != "" {
						seen.Store(check.Foreign, true)
						if got := directionOf(want); known[check.Foreign] != got {
							t.Errorf("check %d: want the difference %q in the table as %q, got %q", i, check.Foreign, got, known[check.Foreign])
						}
						want = !want
					}
					if got := asked.allows(t, check); got != want {
						t.Errorf("check %d by %+v: want cosign to allow: %t, got %t", i, check.Signer, want, got)
					}
				}
			})
		}
	})
	for why := range known {
		if _, found := seen.Load(why); !found {
			t.Errorf("want a case of the difference %q, got none", why)
		}
	}
}

// directionOf is the direction of a difference from our answer.
func directionOf(allowed bool) direction {
	if allowed {
		return stricter
	}
	return laxer
}

// question is a case in a registry.
type question struct {
	store  *fixture.Store
	cosign *rig.Cosign
	dir    string
	c      fixture.Case
}

func (q question) path(folder string) string {
	return strings.TrimSuffix("corpus/"+q.c.Name+"/"+folder, "/")
}

func (q question) push(t *testing.T) {
	t.Helper()
	for _, folder := range append(q.c.Elsewhere(), "") {
		if _, err := q.store.LoadLayout(t.Context(), filepath.Join(q.c.Dir, folder), q.path(folder)); err != nil {
			t.Fatal(err)
		}
	}
}

// allows asks cosign in every way that answers the check.
func (q question) allows(t *testing.T, check fixture.Check) bool {
	t.Helper()
	digest := q.c.Digest
	if check.Digest != "" {
		digest = check.Digest
	}
	image, place := q.image(t, "", digest), q.image(t, check.Signer.Repository, digest)
	bundles, err := q.store.HasBundles(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	ways, err := check.CosignWays(q.dir, bundles)
	if err != nil {
		t.Fatal(err)
	}
	cosign := *q.cosign
	if check.Signer.Repository != "" {
		cosign.Environment = []string{"COSIGN_REPOSITORY=" + place.Reference.Repository().String()}
	}
	return slices.ContainsFunc(ways, func(way fixture.CosignWay) bool {
		_, err := cosign.Run(t.Context(), append(way.Args, image.Reference.String())...)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// image is an image of the case, as if it were in the repository of a folder.
func (q question) image(t *testing.T, folder, digest string) fixture.Image {
	t.Helper()
	parsed, err := imageref.ParseDigest(digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := q.store.Reference(fmt.Sprintf("%s@%s", q.path(folder), digest))
	if err != nil {
		t.Fatal(err)
	}
	return fixture.Image{Reference: ref, Digest: parsed}
}
