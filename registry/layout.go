package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Layout is an OCI image layout on disk (image-spec image-layout.md) as an
// [evidence.Source]. Its files are taken as hostile: digests are checked, sizes
// bounded, and nothing outside the folder is read, whatever symbolic links say.
// It is safe for concurrent use; what it reads of index.json is read once.
//
// A layout has no repository of its own: it answers for the one that it was
// opened as.
type Layout struct {
	root       *os.Root
	repository imageref.Repository
	index      evidence.Manifest

	mu        sync.Mutex
	referrers map[imageref.Digest][]evidence.Descriptor // by subject; nil until asked
}

// Bounds of what is read of a layout, beside those of a registry's answers.
const (
	// maxLayoutManifests bounds the manifests read to find referrers.
	maxLayoutManifests = 1000
	// maxLayoutDepth bounds how deep indexes nest; buildx nests twice.
	maxLayoutDepth = 4
)

// Annotations by which a layout names its members: image-spec annotations.md,
// and what cosign save writes.
const (
	annotationRefName  = "org.opencontainers.image.ref.name"
	annotationKind     = "kind"
	kindCosignImage    = "dev.cosignproject.cosign/image"
	kindCosignImageIdx = "dev.cosignproject.cosign/imageIndex"
)

// cosignKinds are the kinds of cosign save that stand for a tag beside the
// image's digest.
var cosignKinds = map[string]string{
	".sig": "dev.cosignproject.cosign/sigs",
	".att": "dev.cosignproject.cosign/atts",
}

// layoutRepository is the name of layouts that are opened as no other.
const layoutRepository = "oci.layout/image"

// OpenLayout opens the layout in dir, to answer for repository; the zero
// Repository means oci.layout/image, a name that no registry has. Close it
// after use. The error is a *evidence.Problem.
func OpenLayout(dir string, repository imageref.Repository) (*Layout, error) {
	if repository.IsZero() {
		repository = imageref.MustParse(layoutRepository).Repository()
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, layoutProblem(evidence.ImageNotFound, dir, err)
	}
	l := &Layout{root: root, repository: repository}
	if err := l.open(); err != nil {
		root.Close()
		return nil, err
	}
	return l, nil
}

func (l *Layout) open() error {
	marker, err := l.read("oci-layout", maxErrorBody)
	if err != nil {
		return err
	}
	var doc struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := evidence.DecodeJSON(marker, &doc); err != nil || doc.Version != "1.0.0" {
		return &evidence.Problem{Reason: evidence.MalformedManifest, Path: "oci-layout", Expected: `imageLayoutVersion "1.0.0"`, Got: strconv.Quote(clip(doc.Version))}
	}
	raw, err := l.read("index.json", DefaultManifestBytes)
	if err != nil {
		return err
	}
	l.index, err = evidence.ParseManifest(raw, "")
	if err == nil && !l.index.IsIndex() {
		err = &evidence.Problem{Reason: evidence.MalformedManifest, Expected: "an image index", Got: l.index.Descriptor.MediaType}
	}
	if err != nil {
		return at("index.json", err)
	}
	return nil
}

// Close releases the folder.
func (l *Layout) Close() error { return l.root.Close() }

// Repository returns the repository that the layout answers for.
func (l *Layout) Repository() imageref.Repository { return l.repository }

// Image returns the image that name stands for: a digest, a tag (the
// annotation org.opencontainers.image.ref.name), or "" for the only image of
// the layout. The error is a *evidence.Problem; it lists the names there are.
func (l *Layout) Image(ctx context.Context, name string) (evidence.Image, error) {
	ref, err := l.reference(ctx, name)
	if err != nil {
		return evidence.Image{}, err
	}
	m, err := l.Manifest(ctx, ref)
	if err != nil {
		return evidence.Image{}, err
	}
	return evidence.Image{Reference: ref, Repository: l.repository, Manifest: m}, nil
}

func (l *Layout) reference(ctx context.Context, name string) (imageref.Reference, error) {
	if name == "" {
		return l.only(ctx)
	}
	if d, err := imageref.ParseDigest(name); err == nil {
		return l.repository.WithDigest(d), nil
	}
	if ref, err := l.repository.WithTag(name); err == nil {
		return ref, nil
	}
	// Some tools write a whole reference as the name.
	d, err := l.named(name)
	if err != nil {
		return imageref.Reference{}, err
	}
	return l.repository.WithDigest(d), nil
}

// only returns the one image of the layout: what is neither a referrer nor a
// signature tag.
func (l *Layout) only(ctx context.Context) (imageref.Reference, error) {
	var found []imageref.Digest
	for _, d := range l.index.Manifests {
		if isCompanion(d) {
			continue
		}
		m, err := l.Manifest(ctx, l.repository.WithDigest(d.Digest))
		if err != nil {
			return imageref.Reference{}, err
		}
		if m.Subject == nil && !slices.Contains(found, d.Digest) {
			found = append(found, d.Digest)
		}
		if len(found) > 1 {
			return imageref.Reference{}, &evidence.Problem{Reason: evidence.MalformedReference, Path: "index.json", Expected: "one image, or a tag or digest to choose by", Got: "several: " + l.names()}
		}
	}
	if len(found) == 0 {
		return imageref.Reference{}, &evidence.Problem{Reason: evidence.ImageNotFound, Path: "index.json", Expected: "an image", Got: "none"}
	}
	return l.repository.WithDigest(found[0]), nil
}

// isCompanion reports whether a member is named as something about an image: a
// tag "sha256-…", or a kind of cosign save other than an image.
func isCompanion(d evidence.Descriptor) bool {
	kind := d.Annotations[annotationKind]
	if kind != "" && kind != kindCosignImage && kind != kindCosignImageIdx {
		return true
	}
	_, _, found := companionOf(d.Annotations[annotationRefName])
	return found
}

// names lists the tags and digests of the layout, for messages.
func (l *Layout) names() string {
	var all []string
	for _, d := range l.index.Manifests {
		name := d.Annotations[annotationRefName]
		if name == "" {
			name = d.Digest.String()
		}
		if !isCompanion(d) {
			all = append(all, name)
		}
	}
	return clip(fmt.Sprintf("%q", all))
}

// named finds the member with a name. Two members of one name are refused:
// which of them a tool takes differs.
func (l *Layout) named(name string) (imageref.Digest, error) {
	var found imageref.Digest
	for _, d := range l.index.Manifests {
		if d.Annotations[annotationRefName] != name {
			continue
		}
		if !found.IsZero() && found != d.Digest {
			return imageref.Digest{}, &evidence.Problem{Reason: evidence.MalformedManifest, Path: "index.json", Expected: "each name once", Got: fmt.Sprintf("%q twice", clip(name))}
		}
		found = d.Digest
	}
	if found.IsZero() {
		return l.companion(name)
	}
	return found, nil
}

// companion finds the member that cosign save stores for the tag
// "sha256-<hex>.sig" or ".att" without writing the tag. It writes one of each
// kind per image; where several images make that ambiguous, none is taken.
func (l *Layout) companion(name string) (imageref.Digest, error) {
	missing := &evidence.Problem{Reason: evidence.ImageNotFound, Path: "index.json", Expected: fmt.Sprintf("a member named %q", clip(name)), Got: "names " + l.names()}
	_, suffix, found := companionOf(name)
	kind := cosignKinds[suffix]
	if !found || kind == "" {
		return imageref.Digest{}, missing
	}
	var only imageref.Digest
	for _, d := range l.index.Manifests {
		if d.Annotations[annotationKind] != kind {
			continue
		}
		if !only.IsZero() {
			return imageref.Digest{}, missing
		}
		only = d.Digest
	}
	if only.IsZero() {
		return imageref.Digest{}, missing
	}
	return only, nil
}

// read returns a regular file of the layout, at most limit bytes.
func (l *Layout) read(name string, limit int64) ([]byte, error) {
	info, err := l.root.Lstat(name)
	if err != nil {
		reason := evidence.RegistryUnavailable
		if errors.Is(err, fs.ErrNotExist) {
			reason = evidence.ImageNotFound
		}
		return nil, layoutProblem(reason, name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &evidence.Problem{Reason: evidence.RegistryRefused, Path: name, Expected: "a regular file", Got: info.Mode().Type().String()}
	}
	if info.Size() > limit {
		return nil, &evidence.Problem{Reason: evidence.LimitExceeded, Path: name, Expected: fmt.Sprintf("at most %d bytes", limit), Got: strconv.FormatInt(info.Size(), 10)}
	}
	file, err := l.root.Open(name)
	if err != nil {
		return nil, layoutProblem(evidence.RegistryUnavailable, name, err)
	}
	defer file.Close()
	// The file may have grown since: one byte more than it had is too many.
	data, err := fill(make([]byte, 0, info.Size()+1), file)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, layoutProblem(evidence.RegistryUnavailable, name, err)
	}
	if int64(len(data)) > info.Size() {
		return nil, &evidence.Problem{Reason: evidence.LimitExceeded, Path: name, Expected: fmt.Sprintf("%d bytes", info.Size()), Got: "a file that grows"}
	}
	return data, nil
}

func layoutProblem(reason evidence.Reason, where string, err error) error {
	return &evidence.Problem{Reason: reason, Path: where, Err: err}
}

// at names the file that a problem is about.
func at(where string, err error) error {
	p := *evidence.ProblemOf(err)
	if p.Path == "" {
		p.Path = where
	}
	return &p
}
