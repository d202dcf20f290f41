package policyset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// root returns the trusted root that a signer names, or else the operator's. Of
// one that is not known yet it returns a stand-in, and why.
func (s Signers) root(spec *dialect.TrustedRootSpec) (*sigstore.TrustedRoot, *evidence.Problem, error) {
	switch {
	case spec == nil:
		return s.TrustedRoot, nil, nil
	case spec.PublicGood:
		root, err := s.publicGood()
		return root, nil, err
	case spec.Parts != nil:
		root, err := s.parts(*spec.Parts)
		return root, nil, err
	case spec.TUF != nil:
		return s.tuf(*spec.TUF)
	}
	root, err := s.parsed(spec.JSON)
	return root, nil, err
}

func (s Signers) publicGood() (*sigstore.TrustedRoot, error) {
	return s.roots.get(imageref.DigestOf([]byte("public good")), sigstore.PublicGood)
}

// parsed returns what a trusted_root.json says. The names of the cache's entries
// begin unlike JSON.
func (s Signers) parsed(raw []byte) (*sigstore.TrustedRoot, error) {
	return s.roots.get(imageref.DigestOf(raw), func() (*sigstore.TrustedRoot, error) { return ReadTrustedRoot(raw) })
}

// ReadTrustedRoot is [sigstore.NewTrustedRoot], with an error that tells if raw
// holds several trusted roots, one a line, as GitHub's command line writes them.
func ReadTrustedRoot(raw []byte) (*sigstore.TrustedRoot, error) {
	root, err := sigstore.NewTrustedRoot(raw)
	if err != nil && severalObjects(raw) {
		return nil, errors.New("trusted root: expected one JSON object, got more than one: keep that of the Sigstore instance that signs")
	}
	return root, err
}

// severalObjects reports whether a JSON object is followed by another.
func severalObjects(raw []byte) bool {
	in := json.NewDecoder(bytes.NewReader(raw))
	for range 2 {
		var object map[string]json.RawMessage
		if err := in.Decode(&object); err != nil {
			return false
		}
	}
	return true
}

func (s Signers) parts(p dialect.RootParts) (*sigstore.TrustedRoot, error) {
	if len(p.Fulcio)+len(p.Rekor)+len(p.CTLogs)+len(p.TimestampAuthorities) == 0 {
		return nil, errors.New("expected at least one part of a trusted root, got none")
	}
	name, err := contentID(p)
	if err != nil {
		return nil, err
	}
	var rest *sigstore.TrustedRoot
	if p.Rest {
		rest = s.TrustedRoot
	}
	root, err := s.roots.get(imageref.DigestOf([]byte("parts "+name+" "+rest.Digest().String())), func() (*sigstore.TrustedRoot, error) {
		return rest.With(partsOf(p))
	})
	if err != nil {
		return nil, listError(p, err)
	}
	return root, nil
}

func partsOf(p dialect.RootParts) sigstore.RootParts {
	return sigstore.RootParts{Fulcio: p.Fulcio, Rekor: p.Rekor, CTLogs: p.CTLogs, TimestampAuthorities: p.TimestampAuthorities}
}

// listError names the first list of parts that is wrong by itself.
func listError(p dialect.RootParts, err error) error {
	for _, list := range []struct {
		name  string
		parts sigstore.RootParts
	}{
		{dialect.FieldFulcio, sigstore.RootParts{Fulcio: p.Fulcio}},
		{dialect.FieldRekor, sigstore.RootParts{Rekor: p.Rekor}},
		{dialect.FieldCTLogs, sigstore.RootParts{CTLogs: p.CTLogs}},
		{dialect.FieldTimestampCAs, sigstore.RootParts{TimestampAuthorities: p.TimestampAuthorities}},
	} {
		if _, wrong := sigstore.NewTrustedRootFromParts(list.parts); wrong != nil {
			return field(list.name, wrong)
		}
	}
	return err
}

// tuf returns the trusted root of a mirror. Until it is known the public one,
// which has authorities and logs of every kind, lets the rest of the signer be
// checked; nothing is ever verified with it, for the signer is a pending one.
func (s Signers) tuf(spec dialect.TUFSpec) (*sigstore.TrustedRoot, *evidence.Problem, error) {
	if s.Material == nil {
		return nil, nil, errors.New("expected none: this program asks no TUF mirror")
	}
	raw, err := s.Material.TrustedRoot(spec)
	if why := unknownYet(err); why != nil {
		stand, err := s.publicGood()
		return stand, why, err
	}
	if err != nil {
		return nil, nil, err
	}
	root, err := s.parsed(raw)
	return root, nil, err
}

// anyKey stands in for a key that is not known yet. Nothing is ever verified
// with it, for the signer is a pending one.
const anyKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErBDajOb5A66CL8glPxpfNrZjw5TD
G5Bqb4gcesuamOOXqQEz7WHwk4V2CypLeiBn9JuWpdlq9o5UzTC10xfI4A==
-----END PUBLIC KEY-----
`

// kms returns the key that a key management service holds.
func (s Signers) kms(spec dialect.KeySpec) ([]byte, *evidence.Problem, error) {
	if len(spec.PEM) > 0 {
		return nil, nil, errors.New("expected none beside a key, got both")
	}
	if s.Material == nil {
		return nil, nil, errors.New("expected none: this program asks no key management service")
	}
	pem, err := s.Material.PublicKey(spec.KMS)
	if why := unknownYet(err); why != nil {
		return []byte(anyKey), why, nil
	}
	return pem, nil, err
}

// unknownYet returns why nothing is known yet, and nil for every other error.
func unknownYet(err error) *evidence.Problem {
	var p *evidence.Problem
	if errors.As(err, &p) && (p.Reason == evidence.TrustRootUnavailable || p.Reason == evidence.KeyUnavailable) {
		return p
	}
	return nil
}

// known returns the signer that was made, or its stand-in while its trusted root
// is not known.
func (c common) known(spec any, made *sigstore.Signer) policy.Signer {
	if c.pending == nil {
		return made
	}
	return standIn(spec, made.Describe(), c.pending)
}

// standIn is undecided until what the specification names is known. Its ID is
// that of the specification.
func standIn(spec any, describe string, why *evidence.Problem) policy.Signer {
	id, err := contentID(spec)
	if err != nil { // specifications are plain data
		why = &evidence.Problem{Reason: evidence.Internal, Err: err}
	}
	return trust.Pending(id, describe, why)
}

// contentID identifies plain data by its content.
func contentID(data any) (string, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("identify %T: %w", data, err)
	}
	return fmt.Sprintf("%T %s", data, imageref.DigestOf(raw)), nil
}

// maxRoots bounds the trusted roots that are kept parsed. Policies name a few;
// beyond, the cache begins anew.
const maxRoots = 64

// rootCache keeps parsed trusted roots by content: thousands of signers may
// share one. A nil rootCache keeps none. It is safe for concurrent use.
type rootCache struct {
	mu    sync.Mutex
	roots map[imageref.Digest]*sigstore.TrustedRoot
}

func (c *rootCache) get(name imageref.Digest, parse func() (*sigstore.TrustedRoot, error)) (*sigstore.TrustedRoot, error) {
	if c == nil {
		return parse()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.roots[name]; known != nil {
		return known, nil
	}
	root, err := parse()
	if err != nil {
		return nil, err
	}
	if c.roots == nil || len(c.roots) >= maxRoots {
		c.roots = make(map[imageref.Digest]*sigstore.TrustedRoot)
	}
	c.roots[name] = root
	return root, nil
}
