package evidence

// Manifest is an image manifest, an image index, or a manifest of an artifact,
// parsed strictly from its bytes (TRUST R3, R4).
type Manifest struct {
	Descriptor   Descriptor // computed from Raw; MediaType is the manifest's own
	Raw          []byte
	Untyped      bool         // the document names no media type: Descriptor.MediaType is the answer's header, or a guess by shape
	ArtifactType string       // as the manifest itself says; its config's media type if it says none
	Config       *Descriptor  // image manifests
	Layers       []Descriptor // image manifests: layers; OCI artifact manifests: blobs
	Manifests    []Descriptor // indexes
	Subject      *Descriptor
	Annotations  map[string]string
}

// Weight is about what a manifest costs in memory, in bytes: its document, and
// its parsed form, which weighs about thrice as much.
func (m Manifest) Weight() int { return 4 * len(m.Raw) }
