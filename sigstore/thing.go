package sigstore

import (
	"context"
	"crypto"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxContent bounds what is kept of a file beside its digests. Only a signature
// by Ed25519 without pre-hashing needs the bytes, and tools make none over
// larger ones.
const maxContent = 64 << 20

// thing is what must have been signed: an image's manifest, or a file.
type thing struct {
	name    string // what messages call its digest
	digests map[string]string
	message message
	// repository is an image's; zero for a file.
	repository imageref.Repository
}

func subjectOf(image evidence.Image) thing {
	d := image.Digest()
	return thing{
		name: d.String(), digests: map[string]string{d.Algorithm(): d.Hex()},
		message: message{content: image.Manifest.Raw}, repository: image.Repository,
	}
}

// message is what was signed, or what is known of it.
type message struct {
	content []byte                 // nil if it is not known
	sums    map[crypto.Hash][]byte // that were computed or given
}

// sum returns the message's hash; nil if it is not known.
func (m message) sum(h crypto.Hash) []byte {
	if s, known := m.sums[h]; known {
		return s
	}
	if m.content == nil {
		return nil
	}
	return sum(h, m.content)
}

// Artifact is a file, or the digest of one, that a bundle may be about. It is
// immutable.
type Artifact struct{ thing thing }

// NewArtifact reads a file to its end, or until the context ends. Of one above 64 MiB only the digests are
// kept: a signature by Ed25519 without pre-hashing then does not verify.
func NewArtifact(ctx context.Context, r io.Reader) (Artifact, error) {
	content := &head{}
	writers := []io.Writer{content}
	hashes := make(map[string]io.Writer)
	for _, known := range sha2 {
		h := known.hash.New()
		hashes[known.name] = h
		writers = append(writers, h)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), reader{ctx, r}); err != nil {
		return Artifact{}, fmt.Errorf("read the artifact: %w", err)
	}
	t := thing{digests: make(map[string]string), message: message{sums: make(map[crypto.Hash][]byte)}}
	for name, w := range hashes {
		sum := w.(interface{ Sum([]byte) []byte }).Sum(nil)
		t.digests[name], t.message.sums[hashNamed(name)] = hex.EncodeToString(sum), sum
	}
	if !content.cut {
		t.message.content = append([]byte{}, content.bytes...)
	}
	t.name = "sha256:" + t.digests["sha256"]
	return Artifact{t}, nil
}

// reader reads until its context ends. A single read may wait longer.
type reader struct {
	ctx  context.Context
	from io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// head keeps the beginning of what is written to it.
type head struct {
	bytes []byte
	cut   bool
}

func (h *head) Write(p []byte) (int, error) {
	if h.cut || len(h.bytes)+len(p) > maxContent {
		h.cut, h.bytes = true, nil
		return len(p), nil
	}
	h.bytes = append(h.bytes, p...)
	return len(p), nil
}

// DigestArtifact is a file of which only a digest is known.
func DigestArtifact(d imageref.Digest) Artifact {
	t := thing{name: d.String(), digests: map[string]string{d.Algorithm(): d.Hex()}}
	if raw, err := hex.DecodeString(d.Hex()); err == nil {
		t.message.sums = map[crypto.Hash][]byte{hashNamed(d.Algorithm()): raw}
	}
	return Artifact{t}
}

// Digest returns "sha256:" and the digest of a file, or the one that was given.
func (a Artifact) Digest() string { return a.thing.name }

// VerifyBundle decides whether a Sigstore bundle holds a signature of the
// artifact by this signer, or a statement about it of any predicate type; a
// proof of the latter has a Statement. It is for bundles that are handed in: of
// an image's, [Signer.Verify] and [Signer.VerifyStatement] ask what they are for
// (TRUST R23).
func (s *Signer) VerifyBundle(_ context.Context, bundle []byte, a Artifact) (policy.Proof, error) {
	return prove(evidence.Item{Format: evidence.Bundle}, func() (verdict, error) {
		if a.thing.name == "" {
			return verdict{}, &evidence.Problem{Reason: evidence.Internal, Expected: "an artifact with a digest", Got: "none"}
		}
		if len(bundle) > evidence.MaxSignatureBytes {
			return verdict{}, tooMany("bytes", evidence.MaxSignatureBytes, len(bundle))
		}
		return s.verifyBundle(a.thing, bundle, anyType)
	})
}
