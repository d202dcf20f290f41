package audit

import (
	"context"
	"log/slog"

	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/policy"
)

// Resume has the next sweep begin where the last one ended that any replica has
// written: an Event is about a change since then, whoever saw what was before.
// It is called when a replica begins to lead. Where no API for policy reports is
// served, or a report had no room for a Pod, what was before is not known, and a
// change since then makes no Event.
func (a *Auditor) Resume() {
	a.sweeping.Lock()
	defer a.sweeping.Unlock()
	a.last = nil
}

// recall reads from the stored reports what was decided last, if this auditor has
// not decided itself.
func (a *Auditor) recall(ctx context.Context) {
	if a.last != nil || a.options.Events == nil {
		return
	}
	last := map[place]policy.Outcome{}
	err := reports.Read(ctx, a.options.Client, a.options.In, func(n reports.Namespaced) { remember(last, n) })
	if err != nil { // there are no Events then about what changed meanwhile
		a.log.WarnContext(ctx, "the last audit is not known", slog.String("error", err.Error()))
		return
	}
	a.last = last
}

// remember takes the outcomes of images from results of policies: one is denied
// if a policy that enforces says so, and not known if one could not tell.
func remember(last map[place]policy.Outcome, n reports.Namespaced) {
	undecided := map[place]bool{}
	for _, r := range n.Results {
		at := slot{r.Properties[propertyList], r.Properties[propertyContainer]}
		if at.list == "" && at.container != "" {
			at.list = usualList
		}
		for _, pod := range r.Resources {
			p := place{pod.UID, at}
			switch {
			case r.Outcome == reports.Fail && r.Severity == reports.High:
				last[p] = policy.Denied
			case r.Outcome == reports.Error:
				undecided[p] = true
			case last[p] != policy.Denied:
				last[p] = policy.Allowed
			}
		}
	}
	for p := range undecided {
		if last[p] != policy.Denied {
			delete(last, p)
		}
	}
}
