package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
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
func (w *work) artifacts(ctx context.Context, a access, set evidence.Set) {
	type job struct {
		task  artifactTask
		found *artifact
	}
	var jobs []job
	for _, item := range set.Items {
		i := slices.IndexFunc(w.tasks.artifacts, func(t artifactTask) bool { return t.artifactType == item.MediaType })
		if item.Format != evidence.Artifact || i < 0 {
			continue
		}
		if known := w.found[item.Manifest]; known != nil && known.failed == nil {
			continue
		} else if known == nil {
			w.order = append(w.order, item.Manifest)
		}
		found := &artifact{item: item, leaves: map[policy.SignerID]policy.Leaf{}}
		w.found[item.Manifest] = found
		jobs = append(jobs, job{w.tasks.artifacts[i], found})
	}
	if len(jobs) == 0 {
		return
	}
	slots := make(chan struct{}, maxParallelArtifacts)
	var running sync.WaitGroup
	for _, j := range jobs {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			defer func() { // nobody else would catch it (TRUST R48)
				if p := recover(); p != nil {
					j.found.leaves, j.found.statement = nil, nil
					j.found.failed = &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("panic: %v", p)}
				}
			}()
			w.artifact(ctx, a, j.task, j.found)
		})
	}
	running.Wait()
	w.step("artifacts", fmt.Sprintf("%d looked at", len(jobs)))
}

// artifactLimits bound the look for one artifact's signatures. Few have more
// than one; all of an image's artifacts together stay within the decision's
// bytes (TRUST R1).
func artifactLimits() evidence.Limits {
	return evidence.Limits{Referrers: 10, SignatureLayers: 10, SignatureBytes: artifactLook, DecisionBytes: artifactLook}
}

const artifactLook = 1 << 20

// artifact finds out who signed one artifact and, if somebody who counts did,
// what it says.
func (w *work) artifact(ctx context.Context, a access, task artifactTask, found *artifact) {
	var need evidence.Need
	for _, s := range task.signers {
		need = need.Union(s.Need())
	}
	key := setKey{repository: w.repository(), credentials: a.credentials, digest: found.item.Manifest, need: need, artifact: true}
	var first *evidence.Set
	for !found.satisfies(task.claims) {
		if !w.budget.take(artifactLook) {
			found.failed = tooMuch(artifactLook)
			return
		}
		set, known, err := w.engine.evidenceOf(ctx, a, key, first)
		if err != nil {
			found.failed = evidence.ProblemOf(err)
			return
		}
		spent := set.Read()
		if first != nil {
			spent -= first.Read()
		}
		if known {
			spent = 0
		}
		w.budget.give(artifactLook - spent)
		for _, s := range task.signers {
			found.leaves[s.ID()] = w.engine.verifyOnce(ctx, key, s, set)
		}
		if first != nil || !set.Partial {
			break
		}
		first, key.need.Exhaustive = &set, true
	}
	if task.content && found.signed() {
		found.statement, found.unreadable = w.content(ctx, a, found.item)
	}
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
func (w *work) content(ctx context.Context, a access, item evidence.Item) (*policy.Statement, *evidence.Problem) {
	e, key := w.engine, contentKey{w.repository(), a.credentials, item.Manifest, statementContent}
	if known, found := e.contents.get(key, e.options.Now()); found {
		return known.(*policy.Statement), nil
	}
	if n := len(item.Carrier.Layers); n != 1 {
		return nil, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "an artifact with exactly one layer", Got: fmt.Sprintf("%d", n)}
	}
	d := item.Carrier.Layers[0]
	if d.Size < 0 || d.Size > evidence.MaxSignatureBytes || !w.budget.take(d.Size) {
		return nil, tooMuch(d.Size)
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

func tooMuch(bytes int64) *evidence.Problem {
	return &evidence.Problem{
		Reason:   evidence.LimitExceeded,
		Expected: fmt.Sprintf("at most %d bytes, and %d for all evidence of an image", evidence.MaxSignatureBytes, evidence.MaxDecisionBytes),
		Got:      fmt.Sprintf("%d more", bytes),
	}
}

// budget is an amount of bytes that concurrent readers share.
type budget struct {
	mu   sync.Mutex
	left int64
}

func newBudget(bytes int64) *budget { return &budget{left: bytes} }

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}
