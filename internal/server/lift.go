package server

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/policy"
)

// liftWarnings tell the user which exceptions the image is admitted by, and for
// how long.
func liftWarnings(d engine.ImageDecision) []string {
	var warnings []string
	for _, l := range d.Lifted {
		warnings = append(warnings, warning(d.Image.Ref+": "+l.Policy.String()+": lifted by "+l.Exception.String()+" until "+l.Expires.UTC().Format(time.RFC3339)+orNone(": ", l.Reason)))
	}
	return warnings
}

func orNone(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// lifted counts the exceptions that lifted policies from the images of one
// object, once each, and announces those that break glass.
func (s *Server) lifted(ctx context.Context, d door, object string, images []engine.ImageDecision) {
	var used []policy.Origin
	for _, image := range images {
		for _, l := range image.Lifted {
			if slices.Contains(used, l.Exception) {
				continue
			}
			used = append(used, l.Exception)
			s.metrics.ExceptionUsed(l.Exception.Name, l.BreakGlass)
			if !l.BreakGlass {
				continue
			}
			s.log.LogAttrs(ctx, slog.LevelWarn, "BREAK GLASS: an exception lifts a policy",
				slog.String("exception", l.Exception.String()), slog.String("policy", l.Policy.String()), slog.String("door", string(d)),
				slog.String("object", object), slog.String("image", clip(image.Image.Ref, maxLine)),
				slog.String("reason", clip(l.Reason, maxLine)), slog.Time("expires", l.Expires.UTC()))
			if s.options.BreakGlass != nil {
				s.options.BreakGlass(ctx, l.Exception, object)
			}
		}
	}
}
