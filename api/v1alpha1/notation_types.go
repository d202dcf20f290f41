package v1alpha1

// NotationSigner is a party whose certificate a trust store admits, as in a
// Notary Project trust policy (trust-store-trust-policy.md). A Notation result
// proves only what was enforced (TRUST R29).
type NotationSigner struct {
	// TrustStores hold the certificates in which chains must end. At least one
	// of type ca or signingAuthority is required.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	TrustStores []TrustStore `json:"trustStores"`

	// TrustedIdentities are the subjects that may sign, such as
	// "x509.subject: C=US, ST=WA, O=acme". The single entry "*" admits every
	// certificate that the stores admit, and is a weakening.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	TrustedIdentities []string `json:"trustedIdentities"`

	// Level is strict (default) or permissive, a weakening. The levels audit and
	// skip do not enforce who signed: their result is never a proof, so they are
	// refused.
	//
	// +optional
	// +kubebuilder:default=strict
	Level NotationLevel `json:"level,omitempty"`

	// Override changes the action of single checks: authenticTimestamp and expiry
	// to enforce or log, revocation to enforce, log or skip. Integrity and
	// authenticity are always enforced. Log and skip are weakenings.
	//
	// +optional
	Override map[string]string `json:"override,omitempty"`

	// VerifyTimestamp is always (default) or afterCertExpiry, a weakening. It
	// needs a trust store of type tsa.
	//
	// +optional
	VerifyTimestamp VerifyTimestamp `json:"verifyTimestamp,omitempty"`

	// Plugins are the verification plugins that a signature may call for. A
	// signature that calls for another one is refused. A plugin adds to the
	// checks of trusted identities and revocation, unless it replaces them. A
	// VerificationPolicy cannot name any (TRUST R17, R30).
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Plugins []NotationPlugin `json:"plugins,omitempty"`
}

// NotationLevel is a verification level of the Notary Project.
//
// +kubebuilder:validation:Enum=strict;permissive
type NotationLevel string

// The levels that can prove.
const (
	LevelStrict     NotationLevel = "strict"
	LevelPermissive NotationLevel = "permissive"
)

// VerifyTimestamp says when timestamps are verified.
//
// +kubebuilder:validation:Enum=always;afterCertExpiry
type VerifyTimestamp string

// The choices.
const (
	VerifyTimestampAlways          VerifyTimestamp = "always"
	VerifyTimestampAfterCertExpiry VerifyTimestamp = "afterCertExpiry"
)

// TrustStore is a set of certificates of one type.
type TrustStore struct {
	// Type says for what the certificates are trusted.
	Type TrustStoreType `json:"type"`
	// Certificates are PEM certificates, roots or signing certificates.
	//
	// +kubebuilder:validation:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	Certificates Material `json:"certificates"`
}

// TrustStoreType says for what certificates are trusted.
//
// +kubebuilder:validation:Enum=ca;signingAuthority;tsa
type TrustStoreType string

// The types.
const (
	TrustStoreCA               TrustStoreType = "ca"
	TrustStoreSigningAuthority TrustStoreType = "signingAuthority"
	TrustStoreTSA              TrustStoreType = "tsa"
)

// NotationPlugin is a verification plugin (plugin-extensibility.md): a program
// in the operator's folder of plugins, at <name>/notation-<name>.
type NotationPlugin struct {
	// Name is what signatures call the plugin.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`
	Name string `json:"name"`

	// SHA256 is the digest of the executable, 64 hexadecimal digits. A program
	// with another one is not run.
	//
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F]{64}$`
	SHA256 string `json:"sha256"`

	// Replaces are the checks that are left to the plugin: trustedIdentity,
	// revocation. Each is a weakening.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	Replaces []PluginCheck `json:"replaces,omitempty"`
}

// PluginCheck is a check that a plugin may replace.
//
// +kubebuilder:validation:Enum=trustedIdentity;revocation
type PluginCheck string

// The checks.
const (
	PluginTrustedIdentity PluginCheck = "trustedIdentity"
	PluginRevocation      PluginCheck = "revocation"
)
