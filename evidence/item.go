package evidence

import "github.com/bonafide-dev/bonafide/imageref"

// Format is how a piece of evidence is stored and signed.
type Format uint8

// The formats that are discovered.
const (
	// SimpleSigning is a layer of a cosign ".sig" manifest, or of a referrer that
	// cosign's experimental OCI 1.1 mode wrote: a simple-signing payload, its
	// signature in the layer's annotations (cosign specs/SIGNATURE_SPEC.md). By
	// itself a need for it is a need for the tag alone: referrers are listed only
	// for the other formats.
	SimpleSigning Format = iota + 1
	// Bundle is a Sigstore bundle of any version, stored as a referrer (cosign
	// specs/BUNDLE_SPEC.md).
	Bundle
	// Notation is a Notary Project signature envelope, JWS or COSE, stored as a
	// referrer (Notary Project signature-specification.md).
	Notation
	// Envelope is a DSSE envelope around an in-toto statement, one of possibly many
	// layers of a cosign ".att" manifest or of a referrer (cosign
	// specs/ATTESTATION_SPEC.md).
	Envelope
	// Artifact is a referrer of any other type, such as an SBOM attached with
	// ORAS. Its item has the manifest and no payload; whether anybody signed it
	// is a question about the manifest's own digest.
	Artifact
	// Embedded is a bare in-toto statement that the image's index holds, unsigned
	// (moby/buildkit docs/attestations/attestation-storage.md). Only
	// [EmbeddedStatements] returns it.
	Embedded
)

// String returns the format's name in messages.
func (f Format) String() string {
	switch f {
	case SimpleSigning:
		return "cosign signature"
	case Bundle:
		return "Sigstore bundle"
	case Notation:
		return "Notation signature"
	case Envelope:
		return "cosign attestation"
	case Artifact:
		return "artifact"
	case Embedded:
		return "embedded statement"
	}
	return "unknown format"
}

// Need is the set of formats that the signers at hand can use, and how far to
// look. The zero Need asks for nothing.
type Need struct {
	SimpleSigning bool
	Bundle        bool
	Notation      bool
	Envelope      bool
	Artifact      bool
	// Place is where the signer's evidence is, if it is not with the image. The
	// Source must be one for [Place.Of] the image's repository.
	Place Place
	// Exhaustive also reads what a first look passes over because hints point
	// elsewhere: the fallback tag beside an empty referrers list, and referrers
	// whose descriptor claims an unrelated type. It is asked for when the first
	// look did not satisfy.
	Exhaustive bool
}

// Has reports whether items of format f are wanted.
func (n Need) Has(f Format) bool {
	switch f {
	case SimpleSigning:
		return n.SimpleSigning
	case Bundle:
		return n.Bundle
	case Notation:
		return n.Notation
	case Envelope:
		return n.Envelope
	case Artifact:
		return n.Artifact
	case Embedded: // has a function of its own
	}
	return false
}

// Union returns a Need that covers both, which must be for one Place.
func (n Need) Union(o Need) Need {
	return Need{
		SimpleSigning: n.SimpleSigning || o.SimpleSigning,
		Bundle:        n.Bundle || o.Bundle,
		Notation:      n.Notation || o.Notation,
		Envelope:      n.Envelope || o.Envelope,
		Artifact:      n.Artifact || o.Artifact,
		Place:         n.Place,
		Exhaustive:    n.Exhaustive || o.Exhaustive,
	}
}

// Item is one thing that may be a signature or signed statement of an image.
// Every field is hostile.
type Item struct {
	Format      Format
	Manifest    imageref.Digest   // the manifest that carries it, verified against its bytes
	Layer       int               // its index among that manifest's layers
	MediaType   string            // of Payload; of an Artifact, its artifact type
	Payload     []byte            // verified against the layer's descriptor
	Annotations map[string]string // of the layer; of an Artifact, its manifest's
	// Subject is the digest that the carrying manifest itself names as its
	// subject; zero if it names none. Discovery drops referrers whose subject is
	// another image (TRUST R22).
	Subject imageref.Digest
	// Carrier is the whole manifest of an Artifact, zero for other formats.
	Carrier Manifest
}

// Set is what discovery found for one image. It is immutable once returned.
type Set struct {
	Image Image
	Items []Item
	// Problems are look-ups that failed and items that could not be read. Any
	// undecided one means that the set may be incomplete.
	Problems []*Problem
	// Partial reports that an Exhaustive look could find more.
	Partial bool
	// Cut reports that a cap ended the list (TRUST R5).
	Cut bool

	progress progress
}

// Size is about what the set costs in memory, in bytes, for whoever keeps it.
func (s Set) Size() int {
	const each = 400 // an item's, problem's or entry's own fields, rounded up
	size := s.Image.Manifest.Weight() + each*(len(s.Items)+len(s.Problems)+len(s.progress.unread)+len(s.progress.listed))
	for _, item := range s.Items {
		size += len(item.Payload) + item.Carrier.Weight()
		for k, v := range item.Annotations {
			size += len(k) + len(v)
		}
	}
	for _, p := range s.Problems {
		size += len(p.Path) + len(p.Expected) + len(p.Got)
	}
	return size
}

// Read is how many bytes were set aside to read the set, of those that
// [Limits].DecisionBytes bounds.
func (s Set) Read() int64 { return s.progress.bytes }
