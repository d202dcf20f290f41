package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// decide answers the request that was read.
func (c *call) decide(ctx context.Context, held *slot) answer {
	if c.passes() {
		return answer{Allowed: true}
	}
	object, images, problem := c.images()
	if problem != nil {
		c.unreadable(ctx, problem)
		return refusal("this object may not run", line(c.named(), "", problem))
	}
	if len(images) == 0 {
		return answer{Allowed: true}
	}
	decision, _ := c.server.ask(ctx, asked{door: c.door, held: held, grace: c.grace, request: c.question(ctx, object, images)})
	v := c.verdict(object, decision)
	c.record(ctx, decision, v)
	a := v.answer()
	a.Annotations = annotations(decision, v)
	return a
}

// passes reports that nothing can begin to run by the request: it deletes,
// connects, or writes a subresource that holds no image. Everything else is
// decided.
func (c *call) passes() bool {
	switch c.request.Operation {
	case opDelete, opConnect:
		return true
	}
	return c.request.SubResource == "status" || c.request.SubResource == "scale"
}

// images returns the object and those of its images that are to be decided:
// all, or on UPDATE those that differ from the stored object's (TRUST R42). An
// object that cannot be read is a problem (TRUST R43).
func (c *call) images() (workload.Object, []workload.Image, *evidence.Problem) {
	object, err := readObject(c.request.Object)
	if err != nil {
		return workload.Object{}, nil, evidence.ProblemOf(err)
	}
	if object.Kind != c.request.Kind.Kind || object.APIVersion != c.request.Kind.apiVersion() {
		return workload.Object{}, nil, &evidence.Problem{
			Reason:   evidence.MalformedObject,
			Expected: fmt.Sprintf("the %.100s %.100s that the request names", c.request.Kind.apiVersion(), c.request.Kind.Kind),
			Got:      fmt.Sprintf("%.100q %.100q", object.APIVersion, object.Kind),
		}
	}
	if c.request.Operation != opUpdate {
		return object, object.Images, nil
	}
	old, err := readObject(c.request.OldObject)
	if err != nil {
		return object, object.Images, nil //nolint:nilerr // nothing is known to be unchanged, so every image is decided
	}
	return object, workload.Changed(old, object), nil
}

func readObject(decoded any) (workload.Object, error) {
	root, ok := decoded.(map[string]any)
	if !ok {
		return workload.Object{}, &evidence.Problem{Reason: evidence.MalformedObject, Expected: "an object", Got: "something else"}
	}
	return workload.Walk(root)
}

// question is what the decider is asked.
func (c *call) question(ctx context.Context, object workload.Object, images []workload.Image) engine.Request {
	r := engine.Request{
		Request: policy.Request{
			Kind:           object.Kind,
			Name:           c.objectName(),
			Operation:      c.request.Operation,
			User:           c.request.UserInfo.Username,
			ServiceAccount: object.ServiceAccount,
			Labels:         object.Labels,
		},
		Images: images,
		Puller: evidence.Puller{Namespace: c.request.Namespace, ServiceAccount: object.ServiceAccount, PullSecrets: object.PullSecrets},
		// The validating door pins by insisting on a digest (TRUST R39). A mirror
		// Pod is excepted from that and never patched.
		CanPin: !object.Mirror,
	}
	if c.request.Namespace != "" {
		r.Namespace = c.server.awaitNamespace(ctx, c.request.Namespace)
	}
	return r
}

// objectName is the object's name, as far as it is known: the API server
// generates the rest of one only after admission.
func (c *call) objectName() string {
	if c.request.Name != "" {
		return c.request.Name
	}
	object, _ := c.request.Object.(map[string]any)
	metadata, _ := object["metadata"].(map[string]any)
	if prefix, _ := metadata["generateName"].(string); prefix != "" {
		return prefix + "*"
	}
	return ""
}

// named names the object for a message.
func (c *call) named() string {
	name := c.request.Name
	if name == "" {
		name = "(unnamed)"
	}
	return c.request.Kind.Kind + " " + name
}

func (c *call) unreadable(ctx context.Context, p *evidence.Problem) {
	if c.quiet {
		return
	}
	c.server.metrics.decided(c.door, policy.Denied, p.Reason)
	c.server.log.LogAttrs(ctx, slog.LevelInfo, "object denied", append(c.attributes(), slog.String("reason", string(p.Reason)), slog.String("message", clip(p.Error(), maxLine)))...)
}

// record counts and logs what was decided of each image, unless the request is a
// dry run.
func (c *call) record(ctx context.Context, d engine.Decision, v verdict) {
	if c.quiet {
		return
	}
	c.count(v)
	if c.door == validate { // the one that decides for good
		c.server.lifted(ctx, c.door, c.request.Namespace+"/"+c.named(), d.Images)
	}
	log := c.server.decisions(ctx, c.started, c.attributes)
	for i, j := range v.images {
		log.write(ctx, logged{decision: d.Images[i], outcome: j.outcome, reason: j.reason, refused: j.refused})
	}
}

func (c *call) count(v verdict) {
	for _, j := range v.images {
		c.server.metrics.decided(c.door, j.outcome, j.reason)
		if j.outcome == policy.Unmatched {
			c.server.metrics.unmatched(c.request.Namespace)
		}
	}
}

// attributes are what is logged of the request.
func (c *call) attributes() []slog.Attr {
	all := []slog.Attr{
		slog.String("door", string(c.door)), slog.String("uid", c.request.UID), slog.String("operation", c.request.Operation),
		slog.String("kind", c.request.Kind.Kind), slog.String("namespace", c.request.Namespace), slog.String("name", c.objectName()),
	}
	if c.server.options.ObserveOnly {
		all = append(all, slog.Bool("observeOnly", true))
	}
	return all
}
