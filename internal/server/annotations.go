package server

import (
	"strconv"

	"github.com/bonafide-dev/bonafide/engine"
)

// Bounds on audit annotations, which an API server keeps for each request.
const (
	maxAnnotated  = 16  // images; the rest are counted
	maxAnnotation = 256 // bytes of a value
)

// annotationKey are the keys of one image.
type annotationKey struct{ image, digest, policy, outcome string }

// annotationKeys are those of each image, made once: every answer needs some.
var annotationKeys = func() (keys [maxAnnotated]annotationKey) {
	for i := range keys {
		at := "." + strconv.Itoa(i)
		keys[i] = annotationKey{"image" + at, "digest" + at, "policy" + at, "outcome" + at}
	}
	return keys
}()

// annotations say for the API server's audit log what was decided of each
// image, under keys "image.0", "digest.0", "policy.0" and "outcome.0", which it
// prefixes with the webhook's name. Values that are empty are left out.
func annotations(d engine.Decision, v verdict) map[string]string {
	all := make(map[string]string, 4*min(len(d.Images), maxAnnotated)+1)
	for i, image := range d.Images {
		if i == maxAnnotated {
			all["more"] = strconv.Itoa(len(d.Images) - i)
			break
		}
		at := annotationKeys[i]
		all[at.image] = clip(image.Image.Ref, maxAnnotation)
		if !image.Digest.IsZero() {
			all[at.digest] = image.Digest.String()
		}
		if len(image.Policies) > 0 {
			all[at.policy] = clip(policyNames(image), maxAnnotation)
		}
		outcome := v.images[i].outcome.String()
		if reason := v.images[i].reason; reason != "" {
			outcome += " " + string(reason)
		}
		all[at.outcome] = clip(outcome, maxAnnotation)
	}
	return all
}
