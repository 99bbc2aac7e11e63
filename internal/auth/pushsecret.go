package auth

import "crypto/rand"

// PushSecretName is what the secret of a push hook is sealed as: no project's secret of people's can have this name.
const PushSecretName = "push hook\x00"

// NewPushSecret is a text of 256 random bits, and the same sealed for a project's push hook.
func (v *Vault) NewPushSecret(project int64) (text string, sealed []byte) {
	text = rand.Text() + rand.Text()
	return text, v.Seal(project, PushSecretName, []byte(text))
}
