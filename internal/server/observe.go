package server

import (
	"context"

	"github.com/bonafide-dev/bonafide/engine"
)

// observing begins each warning of what would be denied.
const observing = "observe only: would deny: "

// observed turns a refusal into an admission with warnings, and drops the patch
// of an admission ([Options.ObserveOnly]).
func (a answer) observed() answer {
	o := answer{Allowed: true, Annotations: a.Annotations}
	if !a.Allowed {
		for _, line := range a.Refused {
			o.Warnings = append(o.Warnings, warning(observing+line))
		}
	}
	o.Warnings = warned(append(o.Warnings, a.Warnings...))
	return o
}

// pinsElsewhere reports that a tag at the validating door is no reason to warn:
// the mutating door would have replaced it, and left it only because we observe.
func (c *call) pinsElsewhere(d engine.ImageDecision) bool {
	return c.server.options.ObserveOnly && d.Pinned != ""
}

// warnOfObserving says at each start that nothing is enforced (TRUST R19).
func (s *Server) warnOfObserving(ctx context.Context) {
	if s.options.ObserveOnly {
		s.log.WarnContext(ctx, "OBSERVE ONLY: the admission webhooks admit everything and pin nothing, whatever the policies say; log, warnings and metrics say what would be denied")
	}
}
