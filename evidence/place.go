package evidence

import "github.com/bonafide-dev/bonafide/imageref"

// Place is where evidence of an image is stored: cosign can be told to keep it in
// another repository, and to put a prefix in front of its tags. The zero Place is
// the image's own repository. It is comparable.
//
// In another repository evidence is looked for in the same forms as in the
// image's: under cosign's tags, which name the image's digest, and among the
// referrers of that digest, which need not exist there as a manifest (cosign
// pkg/oci/remote: with COSIGN_REPOSITORY, bundles are referrers there). Cosign's
// experimental OCI 1.1 signatures and the bundles of Tekton Chains ignore the
// override: they stay with the image. A referrer there must name the image's digest
// as its subject, as anywhere (TRUST R22).
type Place struct {
	Repository imageref.Repository // zero: the image's own
	TagPrefix  string              // in front of cosign's tags, without a separator; not of the referrers tag
}

// Of returns the repository that holds the evidence of an image in repository:
// whoever opens a [Source] for a [Need] opens it for this one.
func (p Place) Of(repository imageref.Repository) imageref.Repository {
	if p.Repository.IsZero() {
		return repository
	}
	return p.Repository
}

// Validate reports a prefix with which no tag can exist, so that nothing would
// ever be found: it has other characters than tags have, or is too long (OCI
// distribution-spec, "Pulling manifests": at most 128 characters). The error is a
// [*Problem] with reason [MalformedReference].
func (p Place) Validate() error {
	some := imageref.MustParse("registry.invalid/image").Repository() // tags of all repositories are alike
	if _, err := some.WithTag(p.signatureTag(imageref.DigestOf(nil))); err != nil {
		return &Problem{Reason: MalformedReference, Expected: "a prefix that tags can have", Err: err}
	}
	return nil
}

// signatureTag is where cosign stores signatures (cosign
// specs/SIGNATURE_SPEC.md, "Storage").
func (p Place) signatureTag(d imageref.Digest) string {
	return p.TagPrefix + d.Algorithm() + "-" + d.Hex() + ".sig"
}

// attestationTag is where cosign stores attestations (cosign
// specs/ATTESTATION_SPEC.md, "Storage").
func (p Place) attestationTag(d imageref.Digest) string {
	return p.TagPrefix + d.Algorithm() + "-" + d.Hex() + ".att"
}

// repository is where a look reads.
func (l *look) repository() imageref.Repository { return l.need.Place.Of(l.image.Repository) }

func (l *look) signatureTag() string { return l.need.Place.signatureTag(l.image.Digest()) }

func (l *look) attestationTag() string { return l.need.Place.attestationTag(l.image.Digest()) }
