package nirmata

// The kinds, as their custom resource definitions have them.
const (
	groupVersion    = "notation.nirmata.io/v1alpha1"
	kindTrustPolicy = "TrustPolicy"
	kindTrustStore  = "TrustStore"
)

type trustPolicyDocument struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   any             `json:"metadata"`
	Spec       trustPolicySpec `json:"spec"`
	Status     any             `json:"status"`
}

type trustPolicySpec struct {
	Version         string      `json:"version"`
	TrustPolicyName string      `json:"trustPolicyName"`
	TrustPolicies   []statement `json:"trustPolicies"`
}

type statement struct {
	Name                  string                `json:"name"`
	RegistryScopes        []string              `json:"registryScopes"`
	SignatureVerification signatureVerification `json:"signatureVerification"`
	TrustStores           []string              `json:"trustStores"`
	TrustedIdentities     []string              `json:"trustedIdentities"`
}

type signatureVerification struct {
	Level    string            `json:"level"`
	Override map[string]string `json:"override"`
}

type trustStoreDocument struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   any            `json:"metadata"`
	Spec       trustStoreSpec `json:"spec"`
	Status     any            `json:"status"`
}

type trustStoreSpec struct {
	TrustStoreName string `json:"trustStoreName"`
	Type           string `json:"type"`
	CABundle       string `json:"caBundle"`
}
