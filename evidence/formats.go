package evidence

import (
	"fmt"
	"strings"
)

// Types by which manifests and layers are recognised.
const (
	artifactTypeNotation  = "application/vnd.cncf.notary.signature"           // Notary Project signature-specification.md, "Storage"
	artifactTypeCosign    = "application/vnd.dev.cosign.artifact.sig.v1+json" // cosign's experimental OCI 1.1 mode
	prefixBundle          = "application/vnd.dev.sigstore.bundle"             // cosign specs/BUNDLE_SPEC.md
	layerSimpleSigning    = "application/vnd.dev.cosign.simplesigning.v1+json"
	layerEnvelope         = "application/vnd.dsse.envelope.v1+json"
	typeInToto            = "application/vnd.in-toto+json" // in-toto attestation spec/v1/statement.md
	layerNotationJWS      = "application/jose+json"
	layerNotationCOSE     = "application/cose"
	artifactTypeOCIEmpty  = "application/vnd.oci.empty.v1+json"
	artifactTypeOCIConfig = "application/vnd.oci.image.config.v1+json"
)

// hinted reports whether a list's word about a referrer makes it worth reading
// at once: it says one of the wanted formats, or nothing of substance. GHCR
// and old clients list the type of the config, or none. The word is the
// registry's, so an exhaustive look reads the others too (TRUST R22).
func (n Need) hinted(artifactType string) bool {
	switch artifactType {
	case artifactTypeNotation:
		return n.Notation
	case artifactTypeCosign:
		return n.SimpleSigning
	case "", artifactTypeOCIEmpty, artifactTypeOCIConfig,
		"application/vnd.docker.container.image.v1+json",
		"application/vnd.unknown.config.v1+json", "application/vnd.unknown.artifact.v1":
		return true
	case typeInToto, layerEnvelope:
		return n.Envelope || n.Artifact
	}
	if strings.HasPrefix(artifactType, prefixBundle) {
		return n.Bundle
	}
	return n.Artifact
}

// formatsOf tells a referrer's formats by what its manifest says itself; none
// if it is none of ours. A manifest with a type that is nobody's signature is an
// artifact, even if what it holds is an envelope: a policy may ask that the
// artifact itself be signed.
func formatsOf(m Manifest) []Format {
	switch {
	case m.IsIndex():
		return nil
	case m.ArtifactType == artifactTypeNotation:
		return []Format{Notation}
	case m.ArtifactType == artifactTypeCosign:
		return []Format{SimpleSigning}
	case strings.HasPrefix(m.ArtifactType, prefixBundle):
		return []Format{Bundle}
	}
	var formats []Format
	for _, layer := range m.Layers {
		if strings.HasPrefix(layer.MediaType, prefixBundle) {
			return []Format{Bundle}
		}
		if formats == nil && holds(Envelope, m, layer.MediaType) {
			formats = []Format{Envelope}
		}
	}
	if m.ArtifactType != "" {
		formats = append(formats, Artifact)
	}
	return formats
}

// holds reports whether a layer of a manifest holds evidence of a format of which
// a manifest has many layers.
func holds(format Format, m Manifest, mediaType string) bool {
	switch format {
	case SimpleSigning:
		return mediaType == layerSimpleSigning
	case Envelope:
		// Cosign gives an envelope's layer its own type. Others call it a
		// statement, or nothing in particular, where the manifest says in-toto:
		// Google Cloud Build's provenance has one layer.
		return mediaType == layerEnvelope ||
			m.ArtifactType == typeInToto && (mediaType == typeInToto || len(m.Layers) == 1)
	case Embedded:
		return mediaType == typeInToto
	case Bundle, Notation, Artifact: // of which there is one
	}
	return false
}

// checkSingle refuses a bundle or Notation manifest that does not have exactly
// one layer of a known type (cosign specs/BUNDLE_SPEC.md; Notary Project
// signature-specification.md, "Storage": exactly one blob). A bundle's version is
// for the verifier to judge: what the media type says of it is a hint.
func checkSingle(format Format, m Manifest) error {
	if len(m.Layers) != 1 {
		return &Problem{Reason: MalformedEvidence, Expected: "exactly one layer in a " + format.String(), Got: fmt.Sprintf("%d", len(m.Layers))}
	}
	mediaType := m.Layers[0].MediaType
	if format == Notation {
		if mediaType != layerNotationJWS && mediaType != layerNotationCOSE {
			return &Problem{Reason: UnsupportedEvidence, Expected: "a layer of type " + layerNotationJWS + " or " + layerNotationCOSE, Got: fmt.Sprintf("%q", clip(mediaType))}
		}
		return nil
	}
	if !strings.HasPrefix(mediaType, prefixBundle) {
		return &Problem{Reason: UnsupportedEvidence, Expected: "a layer that is a Sigstore bundle", Got: fmt.Sprintf("%q", clip(mediaType))}
	}
	return nil
}
