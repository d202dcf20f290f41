package evidence

// Default bounds of one discovery (TRUST R1). Whoever may push to a repository
// chooses how much there is to read.
const (
	// MaxReferrers bounds how many referrer manifests are read: an endless list
	// kept other verifiers busy (CVE-2023-33957, CVE-2023-42813).
	MaxReferrers = 50
	// MaxSignatureLayers bounds how many layers of a cosign ".sig" manifest are
	// read (CVE-2023-46737, CVE-2024-29903).
	MaxSignatureLayers = 100
	// MaxSignatureBytes bounds one signature, bundle or envelope. The largest in
	// use are bundles around an SBOM of some megabytes (CVE-2024-29902).
	MaxSignatureBytes = 10 << 20
	// MaxDecisionBytes bounds all that is read for one image.
	MaxDecisionBytes = 64 << 20
	// MaxChildren bounds the images of one index, those of nested indexes
	// included: each of them costs a decision of its own where a policy asks for
	// every platform. The official images of widest choice have about twenty.
	MaxChildren = 64
	// MaxIndexDepth bounds how many indexes may be nested in one another, the
	// outermost included; indexes in use nest at most once.
	MaxIndexDepth = 3
	// MaxAttestationManifests bounds the attestation manifests that are read for
	// one child of an index; BuildKit writes one.
	MaxAttestationManifests = 10

	// maxListed bounds the referrers that the lists of one image may name; of
	// those at most Limits.Referrers are read. The referrers tag is an index that
	// whoever may push writes, of up to 4 MiB: tens of thousands of entries.
	maxListed = 500

	// maxArtifactType bounds the type that a list states of a referrer (RFC 6838
	// §4.2: two names of at most 127 characters).
	maxArtifactType = 255

	// maxParallelReads bounds the requests that one discovery has in flight.
	maxParallelReads = 8
)

// Limits bound one discovery. Zero or less in any field means its default, the
// Max… constant of the same name; nothing means "unbounded".
type Limits struct {
	Referrers       int
	SignatureLayers int
	SignatureBytes  int64
	DecisionBytes   int64
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Referrers:       positive(l.Referrers, MaxReferrers),
		SignatureLayers: positive(l.SignatureLayers, MaxSignatureLayers),
		SignatureBytes:  positive(l.SignatureBytes, MaxSignatureBytes),
		DecisionBytes:   positive(l.DecisionBytes, MaxDecisionBytes),
	}
}

func positive[N int | int64](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}
