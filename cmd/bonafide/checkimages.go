package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

// defaultTrustPolicyVariable names the trust policy of requests at /checkimages
// that name none; the service that the door stands in for reads the same one.
const defaultTrustPolicyVariable = "DEFAULT_TRUST_POLICY"

// checkImages are the settings of /checkimages.
func (v *service) checkImages(ctx context.Context) (server.CheckImagesOptions, error) {
	o := server.CheckImagesOptions{
		TrustPolicies:      v.hasTrustPolicy,
		DefaultTrustPolicy: os.Getenv(defaultTrustPolicyVariable),
		Timeout:            v.options.checkimagesTimeout,
	}
	if o.Timeout <= 0 {
		return o, fmt.Errorf("--checkimages-timeout: expected more than 0s, got %s", o.Timeout)
	}
	if v.cluster != nil {
		reviewer, err := credentials.NewReviewer(v.cluster.client.Typed, []string{credentials.KyvernoAudience}, time.Now)
		if err != nil {
			return o, err
		}
		o.TokenReviewer, o.AllowedUsers = reviewer, v.options.allowedUsers
		return o, nil
	}
	v.log.WarnContext(ctx, "whoever reaches /checkimages is answered: without a cluster there is nobody to ask whose token it is")
	return o, nil
}

// hasTrustPolicy reports whether callers can choose a policy by the name.
func (v *service) hasTrustPolicy(name string) bool {
	snapshot := v.engine.Snapshot()
	return snapshot != nil && slices.ContainsFunc(snapshot.Policies(), func(p policy.Policy) bool { return p.ByName == name })
}
