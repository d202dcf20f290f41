package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxParallelArtifacts bounds how many artifacts of one image are looked at at
// once. Each may hold [evidence.MaxSignatureBytes] while it is read.
const maxParallelArtifacts = 4

// artifact is a referrer of the image, who signed it, and what it says.
type artifact struct {
	item       evidence.Item
	leaves     map[policy.SignerID]policy.Leaf
	failed     *evidence.Problem // why its signatures could not be looked for
	statement  *policy.Statement
	unreadable *evidence.Problem // why there is no statement
}

// artifacts looks at the artifacts of the types that are asked for: who signed
// each (TRUST R22: the referrer's own manifest names the image, and its own
// digest is what must be signed), and what those that are signed say.
func (s *subject) artifacts(ctx context.Context, g *gathering) {
	type job struct {
		task  artifactTask
		found *artifact
	}
	var jobs []job
	for _, item := range g.set.Items {
		i := slices.IndexFunc(s.tasks.artifacts, func(t artifactTask) bool { return t.artifactType == item.MediaType })
		if item.Format != evidence.Artifact || i < 0 {
			continue
		}
		if known := s.found[item.Manifest]; known != nil && known.failed == nil {
			continue
		} else if known == nil {
			s.order = append(s.order, item.Manifest)
		}
		found := &artifact{item: item, leaves: map[policy.SignerID]policy.Leaf{}}
		s.found[item.Manifest] = found
		jobs = append(jobs, job{s.tasks.artifacts[i], found})
	}
	if len(jobs) == 0 {
		return
	}
	inParallel(len(jobs), maxParallelArtifacts, func(i int) {
		found := jobs[i].found
		defer func() { // nobody else would catch it (TRUST R48)
			if p := recover(); p != nil {
				found.leaves, found.statement = nil, nil
				found.failed = panicked(p)
			}
		}()
		s.artifact(ctx, g.eyes.image, jobs[i].task, found)
	})
	s.step("artifacts", fmt.Sprintf("%d looked at", len(jobs)))
}

// artifact finds out who signed one artifact and, if somebody who counts did,
// what it says.
func (s *subject) artifact(ctx context.Context, image *access, task artifactTask, found *artifact) {
	for _, signers := range byPlace(task.signers, s.repository()) {
		if found.satisfies(task.claims) {
			break
		}
		if problem := s.artifactSigners(ctx, image, signers, task, found); problem != nil {
			found.failed = problem
		}
	}
	if task.content && found.signed() {
		found.statement, found.unreadable = s.content(ctx, image, found.item)
	}
}

// byPlace divides signers by where their signatures are.
func byPlace(all []policy.Signer, own imageref.Repository) [][]policy.Signer {
	var places []evidence.Place
	var divided [][]policy.Signer
	for _, signer := range all {
		place := placeFor(signer.Need().Place, own)
		i := slices.Index(places, place)
		if i < 0 {
			i = len(places)
			places, divided = append(places, place), append(divided, nil)
		}
		divided[i] = append(divided[i], signer)
	}
	return divided
}

// artifactSigners finds out which of the signers, whose signatures are in one
// place, signed an artifact.
func (s *subject) artifactSigners(ctx context.Context, image *access, signers []policy.Signer, task artifactTask, found *artifact) *evidence.Problem {
	need := evidence.Need{Place: placeFor(signers[0].Need().Place, s.repository())}
	for _, signer := range signers {
		need = need.Union(signer.Need())
	}
	place, problem := s.open(ctx, need.Place.Of(s.repository()))
	if problem != nil {
		return problem
	}
	key := setKey{
		repository: s.repository(), credentials: image.credentials, reader: place.credentials,
		digest: found.item.Manifest, need: need, extent: artifactLook,
	}
	var first *evidence.Set
	for !found.satisfies(task.claims) {
		set, _, err := s.look(ctx, eyes{image: image, place: place}, key, first)
		if err != nil {
			return evidence.ProblemOf(err)
		}
		for _, signer := range signers {
			found.leaves[signer.ID()] = s.engine.verifyOnce(ctx, key, signer, set)
		}
		if first != nil || !set.Partial {
			break
		}
		first, key.need.Exhaustive = &set, true
	}
	return nil
}

// satisfies reports whether each claim has a signer who signed the artifact.
func (a *artifact) satisfies(claims [][]policy.SignerID) bool {
	signed := func(id policy.SignerID) bool { return a.leaves[id].Outcome == policy.Allowed }
	return !slices.ContainsFunc(claims, func(any []policy.SignerID) bool { return !slices.ContainsFunc(any, signed) })
}

// signed reports whether anybody who counts signed the artifact.
func (a *artifact) signed() bool {
	for _, leaf := range a.leaves {
		if leaf.Outcome == policy.Allowed {
			return true
		}
	}
	return false
}

// content reads what an artifact says: its single layer. It is remembered with
// its parsed form, for the credentials that read it.
func (w *work) content(ctx context.Context, a *access, item evidence.Item) (*policy.Statement, *evidence.Problem) {
	e, key := w.engine, contentKey{w.repository(), a.credentials, item.Manifest, statementContent}
	if known, found := e.contents.get(key, e.options.Now()); found {
		return known.(*policy.Statement), nil
	}
	if n := len(item.Carrier.Layers); n != 1 {
		return nil, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "an artifact with exactly one layer", Got: fmt.Sprintf("%d", n)}
	}
	d := item.Carrier.Layers[0]
	if d.Size < 0 || d.Size > evidence.MaxSignatureBytes {
		return nil, tooMuch(d.Size)
	}
	if problem := w.budget.spend(ctx, d.Size); problem != nil {
		return nil, problem
	}
	raw, err := a.source.Blob(ctx, w.repository(), d, evidence.MaxSignatureBytes)
	if err != nil {
		return nil, evidence.ProblemOf(err)
	}
	if int64(len(raw)) != d.Size || !d.Digest.Names(raw) {
		return nil, &evidence.Problem{Reason: evidence.DigestMismatch, Expected: fmt.Sprintf("%d bytes with digest %s", d.Size, d.Digest), Got: "other content"}
	}
	statement, now := policy.NewArtifact(item.MediaType, raw), e.options.Now()
	e.contents.put(key, statement, statement.Size(), now, now.Add(contentTTL))
	return statement, nil
}
