package evidence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

const (
	typeBundle   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	typeNotation = "application/vnd.cncf.notary.signature"
	typeEmpty    = "application/vnd.oci.empty.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeSimple   = "application/vnd.dev.cosign.simplesigning.v1+json"
	typeJWS      = "application/jose+json"
	typeCOSE     = "application/cose"
)

// bundleTypes are the media types of all versions of Sigstore bundles.
var bundleTypes = []string{
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json; version=0.3",
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	typeBundle,
}

var errBoom = errors.New("boom")

// memory is a registry of one repository. Every answer takes latency of the
// bubble's clock.
type memory struct {
	tb         testing.TB
	repository imageref.Repository
	latency    time.Duration
	noAPI      bool // no referrers API
	cutAPI     bool

	manifests map[string]evidence.Manifest // by tag and by digest
	blobs     map[imageref.Digest][]byte
	listed    []evidence.Descriptor
	fail      map[string]error // by request, as in requests

	mu       sync.Mutex
	requests []string
}

func newMemory(tb testing.TB) *memory {
	return &memory{
		tb: tb, repository: imageref.MustParse("registry.test/acme/app").Repository(),
		manifests: map[string]evidence.Manifest{}, blobs: map[imageref.Digest][]byte{}, fail: map[string]error{},
	}
}

func (m *memory) answer(ctx context.Context, request string) error {
	m.mu.Lock()
	m.requests = append(m.requests, request)
	m.mu.Unlock()
	if m.latency > 0 {
		select {
		case <-time.After(m.latency):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.fail[request]
}

func absent(what string) error {
	return &evidence.Problem{Reason: evidence.ImageNotFound, Got: what}
}

func (m *memory) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	name := ref.Tag()
	if !ref.Digest().IsZero() {
		name = ref.Digest().String()
	}
	if err := m.answer(ctx, "manifest "+name); err != nil {
		return evidence.Manifest{}, err
	}
	if found, is := m.manifests[name]; is {
		return found, nil
	}
	return evidence.Manifest{}, absent(name)
}

func (m *memory) Blob(ctx context.Context, _ imageref.Repository, d evidence.Descriptor, _ int64) ([]byte, error) {
	if err := m.answer(ctx, "blob "+d.Digest.String()); err != nil {
		return nil, err
	}
	if found, is := m.blobs[d.Digest]; is {
		return found, nil
	}
	return nil, absent(d.Digest.String())
}

func (m *memory) Referrers(ctx context.Context, _ imageref.Repository, _ imageref.Digest) (evidence.Referrers, error) {
	if err := m.answer(ctx, "referrers"); err != nil {
		return evidence.Referrers{}, err
	}
	if m.noAPI {
		return evidence.Referrers{}, nil
	}
	return evidence.Referrers{Descriptors: m.listed, Supported: true, Cut: m.cutAPI}, nil
}

// taken returns the requests since the last call.
func (m *memory) taken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.requests
	m.requests = nil
	return taken
}

func (m *memory) manifest(mediaType string, fields map[string]any) evidence.Manifest {
	m.tb.Helper()
	doc := map[string]any{"schemaVersion": 2, "mediaType": mediaType}
	if mediaType == evidence.MediaTypeArtifactManifest {
		delete(doc, "schemaVersion")
	}
	for name, value := range fields {
		doc[name] = value
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		m.tb.Fatal(err)
	}
	parsed, err := evidence.ParseManifest(raw, mediaType)
	if err != nil {
		m.tb.Fatalf("manifest %s: %v", raw, err)
	}
	m.manifests[parsed.Descriptor.Digest.String()] = parsed
	return parsed
}

func (m *memory) blob(mediaType, content string, annotations map[string]string) map[string]any {
	d := imageref.DigestOf([]byte(content))
	m.blobs[d] = []byte(content)
	return map[string]any{"mediaType": mediaType, "digest": d.String(), "size": len(content), "annotations": annotations}
}

func descriptor(d evidence.Descriptor) map[string]any {
	return map[string]any{"mediaType": d.MediaType, "digest": d.Digest.String(), "size": d.Size}
}

// image pushes an image and returns it resolved.
func (m *memory) image(content string) evidence.Image {
	m.tb.Helper()
	parsed := m.manifest(evidence.MediaTypeImage, map[string]any{"config": m.blob(typeConfig, content, nil), "layers": []any{}})
	m.manifests["v1"] = parsed
	ref, err := m.repository.WithTag("v1")
	if err != nil {
		m.tb.Fatal(err)
	}
	return evidence.Image{Reference: ref, Repository: m.repository, Manifest: parsed}
}

// signed puts layers under the image's signature tag.
func (m *memory) signed(image evidence.Image, layers ...map[string]any) evidence.Manifest {
	parsed := m.manifest(evidence.MediaTypeImage, map[string]any{"config": m.blob(typeConfig, "{}", nil), "layers": layers})
	m.manifests[signatureTag(image)] = parsed
	return parsed
}

func signatureTag(image evidence.Image) string { return referrersTag(image) + ".sig" }

func referrersTag(image evidence.Image) string {
	return strings.Replace(image.Digest().String(), ":", "-", 1)
}

func (m *memory) simple(i int) map[string]any {
	return m.blob(typeSimple, fmt.Sprintf("payload %d", i), map[string]string{"n": fmt.Sprint(i)})
}

// referrer is a manifest about an image, with one layer.
type referrer struct {
	manifestType, artifactType, configType, layerType, content string
	subject                                                    *evidence.Descriptor
	noSubject                                                  bool
	layers                                                     int               // default 1
	annotations                                                map[string]string // of the manifest and of its layers
	hint                                                       *string
}

// attach pushes a referrer and returns how a list names it.
func (m *memory) attach(image evidence.Image, r referrer) evidence.Descriptor {
	m.tb.Helper()
	if r.manifestType == "" {
		r.manifestType = evidence.MediaTypeImage
	}
	if r.configType == "" {
		r.configType = typeEmpty
	}
	if r.layers == 0 {
		r.layers = 1
	}
	var layers []any
	for i := range r.layers {
		layers = append(layers, m.blob(r.layerType, r.content+strings.Repeat("+", i), r.annotations))
	}
	fields := map[string]any{}
	if r.annotations != nil {
		fields["annotations"] = r.annotations
	}
	if r.artifactType != "" {
		fields["artifactType"] = r.artifactType
	}
	if r.manifestType == evidence.MediaTypeArtifactManifest {
		fields["blobs"] = layers
	} else {
		fields["config"], fields["layers"] = m.blob(r.configType, "{}", nil), layers
	}
	subject := image.Manifest.Descriptor
	if r.subject != nil {
		subject = *r.subject
	}
	if !r.noSubject {
		fields["subject"] = descriptor(subject)
	}
	d := m.manifest(r.manifestType, fields).Descriptor
	if r.hint != nil {
		d.ArtifactType = *r.hint
	}
	return d
}

func (m *memory) list(descriptors ...evidence.Descriptor) {
	m.listed = append(m.listed, descriptors...)
}

// tag stores a referrers tag.
func (m *memory) tag(image evidence.Image, descriptors ...evidence.Descriptor) {
	m.tb.Helper()
	var all []any
	for _, d := range descriptors {
		all = append(all, map[string]any{"mediaType": d.MediaType, "digest": d.Digest.String(), "size": d.Size, "artifactType": d.ArtifactType})
	}
	m.manifests[referrersTag(image)] = m.manifest(evidence.MediaTypeIndex, map[string]any{"manifests": all})
}

func bundle(content string) referrer {
	return referrer{artifactType: typeBundle, layerType: typeBundle, content: content}
}

func notation(content string) referrer {
	return referrer{artifactType: typeNotation, layerType: typeJWS, content: content}
}

func hinted(r referrer, hint string) referrer {
	r.hint = &hint
	return r
}

// payloads returns what was found, in order.
func payloads(s evidence.Set) []string {
	var all []string
	for _, item := range s.Items {
		all = append(all, item.Format.String()+": "+string(item.Payload))
	}
	return all
}

func reasons(s evidence.Set) []evidence.Reason {
	var all []evidence.Reason
	for _, p := range s.Problems {
		all = append(all, p.Reason)
	}
	return all
}
