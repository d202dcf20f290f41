package evidence

import (
	"context"
	"errors"
	"slices"

	"github.com/bonafide-dev/bonafide/imageref"
)

// Resolve reads the manifest that ref names. The image's digest is the one
// written in ref, or else that of the bytes the tag led to. It costs one
// request. The error wraps a [*Problem].
func Resolve(ctx context.Context, src Source, ref imageref.Reference) (Image, error) {
	m, err := src.Manifest(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	if asked := ref.Digest(); !asked.IsZero() {
		if m, err = named(m, asked); err != nil {
			return Image{}, err
		}
	}
	return Image{Reference: ref, Repository: ref.Repository(), Manifest: m}, nil
}

// named returns m under the digest that was asked for. It holds sources to
// their duty (TRUST R2): a cache or a registry that mixed two things up must
// not decide.
func named(m Manifest, asked imageref.Digest) (Manifest, error) {
	if m.Descriptor.Digest != asked && !asked.Names(m.Raw) {
		return Manifest{}, &Problem{Reason: DigestMismatch, Expected: asked.String(), Got: m.Descriptor.Digest.String()}
	}
	m.Descriptor.Digest = asked // sha512, where it differs
	return m, nil
}

// Discover is [Finder.Discover] with the default limits.
func Discover(ctx context.Context, src Source, image Image, need Need) (Set, error) {
	return Finder{}.Discover(ctx, src, image, need)
}

// Extend is [Finder.Extend] with the default limits.
func Extend(ctx context.Context, src Source, set Set, need Need) (Set, error) {
	return Finder{}.Extend(ctx, src, set, need)
}

// Finder discovers evidence. The zero Finder has the default [Limits].
type Finder struct {
	Limits Limits
}

// Discover looks for all evidence of the image that need asks for: in cosign's
// signature and attestation tags, the referrers API, and the referrers tag where
// a registry has no such API. The result is the union; its order depends on the registry's
// lists, not on timing.
//
// All of it is read at need.Place, through src, which is therefore a Source for
// need.Place.Of(image.Repository) and may have other credentials than the one that
// resolved the image. Of the image itself nothing is read.
//
// A look-up or an item that fails is a Problem of the Set, and the others
// count. The error, which wraps a [*Problem], means that the context ended
// before anything was found.
func (f Finder) Discover(ctx context.Context, src Source, image Image, need Need) (Set, error) {
	return f.Extend(ctx, src, Set{Image: image}, need)
}

// Extend looks for what need asks for beyond what set already holds, with the
// limits counted over both, and returns set and the rest together. It reads
// nothing again that an earlier look has read, unless need names new formats:
// the lists are then looked at anew. A set that is not Partial is returned as it
// is, unless need names new formats. A set holds the evidence of one Place: need
// must name the same.
func (f Finder) Extend(ctx context.Context, src Source, set Set, need Need) (Set, error) {
	if set.Image.Digest().IsZero() {
		return set, &Problem{Reason: Internal, Path: "evidence", Expected: "an image with a digest", Got: "none"}
	}
	if f := set.progress.formats; f != (Need{}) && f.Place != need.Place {
		return set, &Problem{Reason: Internal, Path: "evidence", Expected: "a need for the place of the set", Got: "another place"}
	}
	l := newLook(f.Limits.withDefaults(), src, set, need)
	l.lists(ctx)
	l.read(ctx)
	found := l.set()
	if err := ctx.Err(); err != nil && len(found.Items) == 0 {
		return set, &Problem{Reason: contextReason(err), Path: "evidence", Err: err}
	}
	return found, nil
}

func contextReason(err error) Reason {
	if errors.Is(err, context.DeadlineExceeded) {
		return DeadlineExceeded
	}
	return Cancelled
}

// progress is what has been done for a Set, so that Extend goes on from there.
type progress struct {
	formats   Need // formats that were looked for
	signature bool // cosign's signature tag was asked
	envelope  bool // cosign's attestation tag was asked
	api       bool // the referrers API was asked
	tag       bool // the referrers tag was asked
	unread    []Descriptor
	listed    map[imageref.Digest]struct{} // every referrer that a list named
	manifests int                          // referrer manifests read
	layers    int                          // signature layers taken
	envelopes int                          // attestation layers taken, embedded ones too
	bytes     int64                        // reserved of the decision's bytes
}

func (p progress) clone() progress {
	listed := make(map[imageref.Digest]struct{}, len(p.listed))
	for d := range p.listed {
		listed[d] = struct{}{}
	}
	p.unread, p.listed = slices.Clone(p.unread), listed
	return p
}

// look is one call of Extend.
type look struct {
	limits Limits
	src    Source
	image  Image
	need   Need
	before Set
	done   progress

	signatures answer[Manifest] // of cosign's signature tag
	envelopes  answer[Manifest] // of cosign's attestation tag

	items    []Item     // found now
	problems []*Problem // met now
	cut      bool
}

// answer is what came of one look-up. The zero answer is of one not made.
type answer[T any] struct {
	found bool
	value T
	err   error
}

func answered[T any](value T, err error) answer[T] {
	return answer[T]{found: err == nil, value: value, err: err}
}

func newLook(limits Limits, src Source, set Set, need Need) *look {
	l := &look{limits: limits, src: src, image: set.Image, before: set, done: set.progress.clone()}
	formats := l.done.formats
	formats.Exhaustive = false
	l.need = need.Union(formats)
	if (need.Bundle && !formats.Bundle) || (need.Notation && !formats.Notation) ||
		(need.Artifact && !formats.Artifact) || (need.Envelope && !formats.Envelope) {
		// Hints were judged for other formats: look at the lists again.
		l.done.api, l.done.tag, l.done.unread = false, false, nil
		clear(l.done.listed)
	}
	l.done.formats = l.need
	return l
}

func (n Need) referrers() bool { return n.Bundle || n.Notation || n.Artifact || n.Envelope }

// set puts the result together.
func (l *look) set() Set {
	s := Set{
		Image:    l.image,
		Items:    slices.Clip(l.before.Items),
		Problems: slices.Clip(l.before.Problems),
		Cut:      l.before.Cut || l.cut,
		progress: l.done,
	}
	for _, item := range l.items {
		if !slices.ContainsFunc(s.Items, func(o Item) bool {
			return o.Manifest == item.Manifest && o.Layer == item.Layer && o.Format == item.Format
		}) {
			s.Items = append(s.Items, item)
		}
	}
	s.Problems = append(s.Problems, l.problems...)
	s.Partial = l.need.referrers() && (!l.done.tag || len(l.done.unread) > 0)
	return s
}

// trouble notes that something could not be read.
func (l *look) trouble(path string, err error) {
	if other := l.need.Place.Repository; !other.IsZero() {
		path = other.String() + ": " + path
	}
	p := *ProblemOf(err)
	if p.Path != "" {
		path += ": " + p.Path
	}
	p.Path = path
	l.problems = append(l.problems, &p)
}

// reserve takes n of the bytes that may be read for this image. Reserving in
// the order of the lists makes what is cut independent of timing.
func (l *look) reserve(n int64) bool {
	if n < 0 || n > l.limits.DecisionBytes-l.done.bytes {
		l.cut = true
		return false
	}
	l.done.bytes += n
	return true
}
