package audit

import "github.com/bonafide-dev/bonafide/policy"

// denyLists is the kind whose objects stop what they name. One that cannot tell
// whether it names an image is undecided, and has matched nothing yet.
const denyLists = "ImageDenyList"

// object is what policies come from: several, for kinds that have rules.
type object struct{ kind, namespace, name string }

// tally is how many images, by Pod and place, an object has a say about.
type tally struct{ matched, denied int64 }

// Counts returns about how many images of running Pods a policy decided, and how
// many of those it denies, or would deny if it enforced. The same image counts
// anew in each Pod and container. An image that an exception lifts the policy
// from is matched and not denied, and one that a deny list stops is matched by no
// policy: the list has matched and denied it. What could not be decided is
// matched alone.
//
// The object is named as in [policy.Origin]; namespace is empty for one of the
// whole cluster. Of an object that no decision names, and in a Report that no
// sweep made, both are 0.
func (r Report) Counts(kind, namespace, name string) (matched, denied int64) {
	t := r.counts[object{kind, namespace, name}]
	return t.matched, t.denied
}

// counts of results. Pods that share a verdict share its policies too.
func counts(results []Result) map[object]tally {
	images := map[*Verdict]int64{}
	for _, r := range results {
		images[r.Verdict]++
	}
	all := map[object]tally{}
	for v, n := range images {
		for o, denied := range v.objects() {
			t := all[o]
			t.matched += n
			if denied {
				t.denied += n
			}
			all[o] = t
		}
	}
	return all
}

// objects are those that have a say about the image, and whether they deny it.
func (v *Verdict) objects() map[object]bool {
	found := make(map[object]bool, len(v.Policies))
	for _, p := range v.Policies {
		denied := p.Outcome == policy.Denied
		if p.Origin.Kind == denyLists && !denied {
			continue
		}
		o := object{p.Origin.Kind, p.Origin.Namespace, p.Origin.Name}
		found[o] = found[o] || denied
	}
	return found
}
