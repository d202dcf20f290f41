package audit

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/policy"
)

// Report is what a sweep found. It is immutable.
type Report struct {
	At   time.Time     // when the sweep began
	Took time.Duration // including rests
	Pods int
	// Decisions is how many questions were asked for them.
	Decisions int
	Summary   Summary // of Results
	// Results are sorted by namespace, Pod and container.
	Results []Result
	// Uncovered are the namespaces with images that no policy covers, sorted.
	Uncovered []Uncovered

	counts map[object]tally
}

// Summary counts results by outcome.
type Summary struct {
	Allowed, Denied, Undecided, Unmatched int
	// Excepted are those of Allowed from which exceptions lift a policy.
	Excepted int
}

// Result is one place of a Pod that names an image.
type Result struct {
	Namespace, Pod string
	UID            types.UID
	// List is the container's list, as [github.com/bonafide-dev/bonafide/workload.Image]
	// has it, and Container its name. Both are empty for a Pod that cannot be read.
	List, Container string
	// Incomparable says that kubelet names what it runs in a way that cannot be
	// compared with what was decided.
	Incomparable bool
	*Verdict
}

// Uncovered counts what no policy covers in a namespace (TRUST R20).
type Uncovered struct {
	Namespace string
	Pods      int
	Images    []string // distinct, sorted
}

// reference names the Pod for an Event.
func (r Result) reference() corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.Pod, UID: r.UID}
}

// report joins Pods and verdicts.
func report(l *listing) Report {
	r := Report{Pods: len(l.pods), Decisions: int(l.decisions.Load())}
	for _, p := range l.pods {
		r.Results = append(r.Results, p.results()...)
	}
	slices.SortStableFunc(r.Results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod))
	})
	for _, result := range r.Results {
		r.Summary.count(result.Verdict)
	}
	r.Uncovered = uncovered(r.Results)
	r.counts = counts(r.Results)
	return r
}

func (p *pod) results() []Result {
	var results []Result
	for i, v := range p.group.verdicts {
		r := Result{Namespace: p.group.namespace, Pod: p.name, UID: p.uid, Incomparable: p.vague[i], Verdict: v}
		if p.group.broken == nil {
			r.List, r.Container = p.group.object.Images[i].List, p.group.object.Images[i].Name
		}
		if digest, runs := p.running[i]; runs {
			if other := p.group.running[ran{i, digest}]; other != nil {
				r.Verdict = other
			}
		}
		results = append(results, r)
	}
	return results
}

func (s *Summary) count(v *Verdict) {
	switch v.Outcome {
	case policy.Allowed:
		s.Allowed++
		if v.Excepted() {
			s.Excepted++
		}
	case policy.Denied:
		s.Denied++
	case policy.Unmatched:
		s.Unmatched++
	case policy.Undecided:
		s.Undecided++
	}
}

func uncovered(results []Result) []Uncovered {
	type namespace struct {
		pods   map[types.UID]bool
		images map[string]bool
	}
	found := map[string]namespace{}
	for _, r := range results {
		if r.Covered() {
			continue
		}
		n, known := found[r.Namespace]
		if !known {
			n = namespace{map[types.UID]bool{}, map[string]bool{}}
			found[r.Namespace] = n
		}
		n.pods[r.UID], n.images[r.Image] = true, true
	}
	var list []Uncovered
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, Uncovered{Namespace: name, Pods: len(found[name].pods), Images: slices.Sorted(maps.Keys(found[name].images))})
	}
	return list
}

func (r Report) uncoveredImages() map[string]int {
	images := make(map[string]int, len(r.Uncovered))
	for _, u := range r.Uncovered {
		images[u.Namespace] = len(u.Images)
	}
	return images
}
