package audit

import (
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/policy"
)

// What tests reach.
var (
	Namespaced    = namespaced
	RunningDigest = runningDigest
	ImageIDs      = imageIDs
)

// Remembered is what is taken from a report, by "Pod list/container".
func Remembered(n reports.Namespaced) map[string]policy.Outcome {
	last := map[place]policy.Outcome{}
	remember(last, n)
	all := map[string]policy.Outcome{}
	for p, outcome := range last {
		all[string(p.pod)+" "+p.list+"/"+p.container] = outcome
	}
	return all
}
