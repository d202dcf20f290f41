package evidence

import (
	"context"

	"github.com/bonafide-dev/bonafide/imageref"
)

// lists asks where evidence is listed. At most four requests, in one step or,
// where a registry has no referrers API, in two.
func (l *look) lists(ctx context.Context) {
	var api answer[Referrers]
	var tag answer[Manifest]
	referrers := l.need.referrers()
	askSignature := l.need.SimpleSigning && !l.done.signature
	askEnvelope := l.need.Envelope && !l.done.envelope
	askAPI := referrers && !l.done.api
	askTag := referrers && !l.done.tag && l.need.Exhaustive

	reads := newGroup()
	if askSignature {
		reads.run(func() { l.signatures = l.byTag(ctx, l.signatureTag()) })
	}
	if askEnvelope {
		reads.run(func() { l.envelopes = l.byTag(ctx, l.attestationTag()) })
	}
	if askAPI {
		reads.run(func() {
			api = answered(l.src.Referrers(ctx, l.repository(), l.image.Digest()))
		})
	}
	if askTag {
		reads.run(func() { tag = l.byTag(ctx, referrersTag(l.image.Digest())) })
	}
	l.wait(reads)

	// Without the API the tag is the only list. It can still wait for an
	// exhaustive look if there is what cosign stores under tags to try first.
	missing := askAPI && api.found && !api.value.Supported
	if missing && !askTag && !l.done.tag && !l.tagged(askSignature, askEnvelope) {
		askTag = true
		tag = l.byTag(ctx, referrersTag(l.image.Digest()))
	}

	l.done.signature = l.done.signature || askSignature
	l.done.envelope = l.done.envelope || askEnvelope
	l.done.api = l.done.api || askAPI
	l.done.tag = l.done.tag || askTag
	if l.signatures.err != nil {
		l.trouble(l.signatureTag(), l.signatures.err)
	}
	if l.envelopes.err != nil {
		l.trouble(l.attestationTag(), l.envelopes.err)
	}
	if api.err != nil {
		l.trouble("referrers", api.err)
	}
	l.cut = l.cut || api.value.Cut
	l.list(api.value.Descriptors)
	l.listTag(tag)
}

// tagged reports whether the tags that were asked all hold something, so that
// referrers may wait. Artifacts are nowhere but among referrers.
func (l *look) tagged(signature, envelope bool) bool {
	if l.need.Artifact || (!signature && !envelope) {
		return false
	}
	return (!signature || len(l.signatures.value.Layers) > 0) && (!envelope || len(l.envelopes.value.Layers) > 0)
}

// byTag reads the manifest of a tag that need not exist: if it does not, that
// is an answer, and the manifest is empty.
func (l *look) byTag(ctx context.Context, tag string) answer[Manifest] {
	ref, err := l.repository().WithTag(tag)
	if err != nil { // longer than a tag can be, so nobody can have pushed it
		return answer[Manifest]{found: true}
	}
	m, err := l.src.Manifest(ctx, ref)
	if err != nil && ProblemOf(err).Reason == ImageNotFound {
		return answer[Manifest]{found: true}
	}
	return answered(m, err)
}

// referrersTag is where clients list referrers for a registry without the API
// (OCI distribution-spec, "Referrers Tag Schema"). It cuts long digests, and no
// prefix of cosign's goes in front of it.
func referrersTag(d imageref.Digest) string {
	const longest = 64
	return d.Algorithm() + "-" + d.Hex()[:min(longest, len(d.Hex()))]
}

func (l *look) listTag(tag answer[Manifest]) {
	path := referrersTag(l.image.Digest())
	if tag.err != nil {
		l.trouble(path, tag.err)
		return
	}
	if tag.value.Descriptor.Digest.IsZero() {
		return
	}
	if !tag.value.IsIndex() {
		l.trouble(path, malformedManifest("an image index that lists referrers", tag.value.Descriptor.MediaType, nil))
		return
	}
	l.list(tag.value.Manifests)
}

// list adds referrers that were not listed before to those to read, and keeps
// of each what it is read by.
func (l *look) list(descriptors []Descriptor) {
	for _, d := range descriptors {
		if _, known := l.done.listed[d.Digest]; known {
			continue
		}
		if len(l.done.listed) == maxListed {
			l.cut = true
			return
		}
		l.done.listed[d.Digest] = struct{}{}
		kept := Descriptor{Digest: d.Digest, Size: d.Size, ArtifactType: d.ArtifactType}
		if len(kept.ArtifactType) > maxArtifactType {
			kept.ArtifactType = "" // no type that anybody asks for: read it to see
		}
		l.done.unread = append(l.done.unread, kept)
	}
}
