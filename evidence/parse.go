package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"

	"github.com/bonafide-dev/bonafide/imageref"
)

// MaxManifestBytes bounds a manifest (TRUST R1). Registries themselves refuse
// larger ones (OCI distribution-spec, "Pushing Manifests": 4 megabytes). It
// also bounds how many descriptors a manifest can hold.
const MaxManifestBytes = 4 << 20

// Media types of manifests that [ParseManifest] reads.
const (
	MediaTypeImage            = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeIndex            = "application/vnd.oci.image.index.v1+json"
	MediaTypeDockerImage      = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerIndex      = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeArtifactManifest = "application/vnd.oci.artifact.manifest.v1+json"
)

// ManifestMediaTypes returns the media types to accept from a registry.
func ManifestMediaTypes() []string {
	return []string{MediaTypeImage, MediaTypeIndex, MediaTypeDockerImage, MediaTypeDockerIndex, MediaTypeArtifactManifest}
}

// IsIndex reports whether m lists other manifests.
func (m Manifest) IsIndex() bool { return isIndexType(m.Descriptor.MediaType) }

func isIndexType(mediaType string) bool {
	return mediaType == MediaTypeIndex || mediaType == MediaTypeDockerIndex
}

// ParseManifest reads the bytes of a manifest. Its descriptor is computed from
// raw. contentType is the one that the registry answered with; "" where there
// is none, as in an image layout.
//
// It implements TRUST R3 (CVE-2021-41190): one document must not be readable as
// two kinds of manifest, so one that has the fields of another kind, or whose
// mediaType is not its Content-Type, is refused, as is schema 1. Every digest
// in it is parsed (R2), names are read by case and once (R4), and it has at
// most [MaxManifestBytes] (R1). A manifest of the OCI specification may leave
// mediaType out; then contentType decides, and without one the fields do.
//
// The error is a [*Problem]: [LimitExceeded] for length, else
// [MalformedManifest].
func ParseManifest(raw []byte, contentType string) (Manifest, error) {
	if len(raw) > MaxManifestBytes {
		return Manifest{}, largeManifest(int64(len(raw)))
	}
	var names map[string]json.RawMessage
	if err := DecodeJSON(raw, &names); err != nil {
		return Manifest{}, malformedManifest("a manifest", "", err)
	}
	var doc manifestDocument
	if err := decodeChecked(raw, &doc); err != nil {
		return Manifest{}, malformedManifest("a manifest", "", err)
	}
	if err := checkFolding(raw); err != nil {
		return Manifest{}, malformedManifest("a manifest that all readers read alike", "", err)
	}
	mediaType, err := manifestType(doc.MediaType, contentType, names)
	if err != nil {
		return Manifest{}, err
	}
	if err := checkShape(mediaType, doc.SchemaVersion, names); err != nil {
		return Manifest{}, err
	}
	m, err := doc.manifest(raw, mediaType)
	m.Untyped = doc.MediaType == ""
	return m, err
}

func malformedManifest(expected, got string, cause error) *Problem {
	return &Problem{Reason: MalformedManifest, Expected: expected, Got: got, Err: cause}
}

func largeManifest(size int64) *Problem {
	return &Problem{Reason: LimitExceeded, Expected: fmt.Sprintf("a manifest of at most %d bytes", MaxManifestBytes), Got: fmt.Sprintf("%d", size)}
}

// manifestDocument has the fields of image-spec manifest.md and
// image-index.md, of Docker's schema 2 (distribution docs/spec/manifest-v2-2.md,
// the same names), and of the artifact manifest of image-spec v1.1.0-rc2.
type manifestDocument struct {
	SchemaVersion int64                `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *descriptorDocument  `json:"config"`
	Layers        []descriptorDocument `json:"layers"`
	Blobs         []descriptorDocument `json:"blobs"`
	Manifests     []descriptorDocument `json:"manifests"`
	Subject       *descriptorDocument  `json:"subject"`
	Annotations   map[string]string    `json:"annotations"`
}

// descriptorDocument is image-spec descriptor.md. Its urls and data are not
// read: content comes from the registry, by digest.
type descriptorDocument struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         *int64            `json:"size"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Platform     *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	} `json:"platform"`
}

// manifestType finds the one media type that a document has.
func manifestType(own, contentType string, names map[string]json.RawMessage) (string, error) {
	if contentType != "" {
		t, _, err := mime.ParseMediaType(contentType)
		if err != nil {
			return "", malformedManifest("a Content-Type", fmt.Sprintf("%q", clip(contentType)), err)
		}
		if own != "" && own != t {
			return "", malformedManifest(fmt.Sprintf("the mediaType of its Content-Type, %q", clip(t)), fmt.Sprintf("%q", clip(own)), nil)
		}
		own = t
	}
	if own == "" {
		own = typeByShape(names)
	}
	if !slices.Contains(ManifestMediaTypes(), own) {
		return "", malformedManifest("the media type of a manifest or index", fmt.Sprintf("%q", clip(own)), nil)
	}
	return own, nil
}

// typeByShape is for documents that name no type at all, which the OCI
// specification permits for its two.
func typeByShape(names map[string]json.RawMessage) string {
	switch {
	case has(names, "manifests"):
		return MediaTypeIndex
	case has(names, "config"), has(names, "layers"):
		return MediaTypeImage
	}
	return ""
}

func has(names map[string]json.RawMessage, name string) bool {
	_, found := names[name]
	return found
}

// checkShape refuses a document with the fields of another kind. A name counts
// even if its value is null or empty: other readers may differ about that.
func checkShape(mediaType string, schemaVersion int64, names map[string]json.RawMessage) error {
	var foreign, required []string
	switch mediaType {
	case MediaTypeImage, MediaTypeDockerImage:
		required, foreign = []string{"config"}, []string{"manifests", "blobs"}
	case MediaTypeIndex, MediaTypeDockerIndex:
		required, foreign = []string{"manifests"}, []string{"config", "layers", "blobs"}
	case MediaTypeArtifactManifest:
		foreign = []string{"config", "layers", "manifests"}
	}
	for _, name := range append(foreign, "fsLayers", "history", "signatures") { // the last three: schema 1
		if has(names, name) {
			return malformedManifest(fmt.Sprintf("the fields of %s alone", mediaType), fmt.Sprintf("also %q", name), nil)
		}
	}
	for _, name := range required {
		if !has(names, name) {
			return malformedManifest(fmt.Sprintf("%q in %s", name, mediaType), "none", nil)
		}
	}
	// The artifact manifest alone has no schemaVersion.
	if schemaVersion != 2 && (mediaType != MediaTypeArtifactManifest || has(names, "schemaVersion")) {
		return malformedManifest("schemaVersion 2", fmt.Sprintf("%d", schemaVersion), nil)
	}
	return nil
}

func (d manifestDocument) manifest(raw []byte, mediaType string) (Manifest, error) {
	if d.Config == nil && (mediaType == MediaTypeImage || mediaType == MediaTypeDockerImage) {
		return Manifest{}, malformedManifest("a config", "null", nil)
	}
	m := Manifest{Raw: raw, ArtifactType: d.ArtifactType, Annotations: d.Annotations}
	var err error
	if m.Config, err = d.Config.optional("config"); err != nil {
		return Manifest{}, err
	}
	if m.Subject, err = d.Subject.optional("subject"); err != nil {
		return Manifest{}, err
	}
	if m.Layers, err = descriptors(d.Layers, "layers"); err != nil {
		return Manifest{}, err
	}
	if mediaType == MediaTypeArtifactManifest {
		if m.Layers, err = descriptors(d.Blobs, "blobs"); err != nil {
			return Manifest{}, err
		}
	}
	if m.Manifests, err = descriptors(d.Manifests, "manifests"); err != nil {
		return Manifest{}, err
	}
	if m.ArtifactType == "" && m.Config != nil {
		m.ArtifactType = m.Config.MediaType
	}
	m.Descriptor = Descriptor{
		MediaType: mediaType, Digest: imageref.DigestOf(raw), Size: int64(len(raw)), ArtifactType: m.ArtifactType,
	}
	return m, nil
}

func descriptors(docs []descriptorDocument, field string) ([]Descriptor, error) {
	if len(docs) == 0 {
		return nil, nil
	}
	all := make([]Descriptor, len(docs))
	for i := range docs {
		d, err := docs[i].descriptor()
		if err != nil {
			return nil, malformedManifest("", "", fmt.Errorf("%s[%d]: %w", field, i, err))
		}
		all[i] = d
	}
	return all, nil
}

func (d *descriptorDocument) optional(field string) (*Descriptor, error) {
	if d == nil {
		return nil, nil // an absent descriptor is no error
	}
	parsed, err := d.descriptor()
	if err != nil {
		return nil, malformedManifest("", "", fmt.Errorf("%s: %w", field, err))
	}
	return &parsed, nil
}

func (d *descriptorDocument) descriptor() (Descriptor, error) {
	digest, err := imageref.ParseDigest(d.Digest)
	if err != nil {
		return Descriptor{}, err
	}
	if d.Size == nil || *d.Size < 0 {
		return Descriptor{}, errors.New("expected a size of at least 0")
	}
	parsed := Descriptor{
		MediaType: d.MediaType, Digest: digest, Size: *d.Size, ArtifactType: d.ArtifactType, Annotations: d.Annotations,
	}
	if d.Platform != nil {
		parsed.Platform = &Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant}
	}
	return parsed, nil
}
