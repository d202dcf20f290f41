package evidence

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bonafide-dev/bonafide/imageref"
)

// group runs reads of which only a few are in flight.
type group struct {
	slots    chan struct{}
	running  sync.WaitGroup
	panicked atomic.Pointer[Problem]
}

func newGroup() *group { return &group{slots: make(chan struct{}, maxParallelReads)} }

func (g *group) run(read func()) {
	g.slots <- struct{}{}
	g.running.Go(func() {
		defer func() { <-g.slots }()
		defer func() { // whoever waits for the group runs elsewhere: nobody else would catch it (TRUST R48)
			if r := recover(); r != nil {
				g.panicked.Store(&Problem{Reason: Internal, Err: fmt.Errorf("panic: %v", r)})
			}
		}()
		read()
	})
}

// wait waits for all reads. A read that panicked is a problem: what it was to
// read counts as not there.
func (l *look) wait(g *group) {
	g.running.Wait()
	if p := g.panicked.Load(); p != nil {
		l.trouble("evidence", p)
	}
}

// wanted is one layer to fetch, or an artifact, of which nothing is fetched. Layers with one digest share a fetch: signers
// of one image often sign the same payload.
type wanted struct {
	format   Format
	manifest Manifest
	layer    int
	path     string
	blob     *answer[[]byte]
}

// fetched are the layers that a look reads. What a manifest says of the size
// is part of the key: one manifest's lie must not spoil another's layer.
type fetched map[contentKey]*answer[[]byte]

type contentKey struct {
	digest imageref.Digest
	size   int64
}

func (w wanted) descriptor() Descriptor { return w.manifest.Layers[w.layer] }

// read fetches what the lists led to: first the payloads of cosign's tags
// together with the referrers' manifests, then those manifests' layers.
func (l *look) read(ctx context.Context) {
	blobs := make(fetched)
	tagged := append(
		l.taggedLayers(l.signatureTag(), l.signatures.value, SimpleSigning),
		l.taggedLayers(l.attestationTag(), l.envelopes.value, Envelope)...,
	)
	chosen := l.choose()
	manifests := make([]answer[Manifest], len(chosen))

	reads := newGroup()
	tagged = l.fetch(ctx, reads, tagged, blobs)
	for i, d := range chosen {
		reads.run(func() { manifests[i] = l.referrer(ctx, d) })
	}
	l.wait(reads)

	var attached []wanted
	for i, d := range chosen {
		attached = append(attached, l.layers(d, manifests[i])...)
	}
	reads = newGroup()
	attached = l.fetch(ctx, reads, attached, blobs)
	l.wait(reads)
	l.collect(append(tagged, attached...))
}

// taggedLayers returns the layers of one of cosign's tags.
func (l *look) taggedLayers(tag string, m Manifest, format Format) []wanted {
	if m.Descriptor.Digest.IsZero() {
		return nil
	}
	if m.IsIndex() {
		l.trouble(tag, malformedManifest("an image manifest", m.Descriptor.MediaType, nil))
		return nil
	}
	return l.layersOf(tag, m, format)
}

// layersOf returns the layers of a manifest that hold what its format says;
// layers of other types are none. Signatures and attestations are counted apart,
// so that neither crowds the other out.
func (l *look) layersOf(path string, m Manifest, format Format) []wanted {
	count := &l.done.layers
	if format != SimpleSigning {
		count = &l.done.envelopes
	}
	var all []wanted
	for i, d := range m.Layers {
		if !holds(format, m, d.MediaType) {
			continue
		}
		if *count == l.limits.SignatureLayers {
			l.cut = true
			break
		}
		*count++
		all = append(all, wanted{format: format, manifest: m, layer: i, path: layerPath(path, i)})
	}
	return all
}

func layerPath(path string, layer int) string { return fmt.Sprintf("%s layer %d", path, layer) }

// choose takes the referrers to read now out of those that are listed.
func (l *look) choose() []Descriptor {
	var now, later []Descriptor
	for _, d := range l.done.unread {
		switch {
		case !l.need.Exhaustive && !l.need.hinted(d.ArtifactType):
			later = append(later, d)
		case l.done.manifests == l.limits.Referrers:
			l.cut = true
		case d.Size > MaxManifestBytes:
			l.done.manifests++ // it counts, or a list of such entries would have no end
			l.trouble(referrerPath(d), largeManifest(d.Size))
		case l.reserve(d.Size):
			l.done.manifests++
			now = append(now, d)
		}
	}
	l.done.unread = later
	return now
}

func referrerPath(d Descriptor) string { return "referrer " + d.Digest.String() }

// referrer reads a referrer's manifest.
func (l *look) referrer(ctx context.Context, d Descriptor) answer[Manifest] {
	return answered(listed(ctx, l.src, l.repository().WithDigest(d.Digest), d))
}

// layers returns the layers of a referrer that hold evidence of the wanted
// formats.
func (l *look) layers(d Descriptor, a answer[Manifest]) []wanted {
	path, m := referrerPath(d), a.value
	if a.err != nil {
		l.trouble(path, a.err)
		return nil
	}
	formats := slices.DeleteFunc(formatsOf(m), func(f Format) bool { return !l.need.Has(f) })
	if len(formats) == 0 {
		return nil
	}
	// A list may name any manifest: only the manifest itself says what it is
	// about (TRUST R22).
	if m.Subject == nil || m.Subject.Digest != l.image.Digest() {
		got := "no subject"
		if m.Subject != nil {
			got = m.Subject.Digest.String()
		}
		l.trouble(path, &Problem{Reason: SubjectMismatch, Expected: "subject " + l.image.Digest().String(), Got: got})
		return nil
	}
	var all []wanted
	for _, format := range formats {
		switch format {
		case SimpleSigning, Envelope:
			all = append(all, l.layersOf(path, m, format)...)
		case Artifact:
			all = append(all, wanted{format: Artifact, manifest: m, path: path})
		case Bundle, Notation:
			if err := checkSingle(format, m); err != nil {
				l.trouble(path, err)
				continue
			}
			all = append(all, wanted{format: format, manifest: m, path: layerPath(path, 0)})
		case Embedded: // no referrer
		}
	}
	return all
}

// fetch starts reading the wanted layers and returns those that it reads.
func (l *look) fetch(ctx context.Context, reads *group, all []wanted, blobs fetched) []wanted {
	kept := all[:0]
	for _, w := range all {
		if w.format == Artifact {
			kept = append(kept, w)
			continue
		}
		d := w.descriptor()
		if d.Size > l.limits.SignatureBytes {
			l.trouble(w.path, &Problem{
				Reason: LimitExceeded, Expected: fmt.Sprintf("at most %d bytes", l.limits.SignatureBytes), Got: fmt.Sprintf("%d", d.Size),
			})
			continue
		}
		content := contentKey{d.Digest, d.Size}
		blob, started := blobs[content]
		if !started {
			if !l.reserve(d.Size) {
				continue
			}
			blob = new(answer[[]byte])
			blobs[content] = blob
			reads.run(func() {
				*blob = answered(l.src.Blob(ctx, l.repository(), d, l.limits.SignatureBytes))
			})
		}
		w.blob = blob
		kept = append(kept, w)
	}
	return kept
}

// collect makes items of what was fetched.
func (l *look) collect(all []wanted) {
	for _, w := range all {
		if w.format == Artifact {
			l.items = append(l.items, Item{
				Format: Artifact, Manifest: w.manifest.Descriptor.Digest, MediaType: w.manifest.ArtifactType,
				Annotations: w.manifest.Annotations, Subject: w.manifest.Subject.Digest, Carrier: w.manifest,
			})
			continue
		}
		d := w.descriptor()
		switch {
		case w.blob.err != nil:
			l.trouble(w.path, w.blob.err)
			continue
		case int64(len(w.blob.value)) != d.Size || !d.Digest.Names(w.blob.value):
			l.trouble(w.path, &Problem{Reason: DigestMismatch, Expected: fmt.Sprintf("%d bytes with digest %s", d.Size, d.Digest), Got: "other content"})
			continue
		}
		item := Item{
			Format: w.format, Manifest: w.manifest.Descriptor.Digest, Layer: w.layer,
			MediaType: d.MediaType, Payload: w.blob.value, Annotations: d.Annotations,
		}
		if w.manifest.Subject != nil {
			item.Subject = w.manifest.Subject.Digest
		}
		l.items = append(l.items, item)
	}
}
