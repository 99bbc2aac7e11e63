package builder

// ReproducibleMacros are rpm macros that every builder sets, one a line: what is built must not
// depend on when or where it is built.
const ReproducibleMacros = `%_buildhost reqpm
%use_source_date_epoch_as_buildtime 1
%clamp_mtime_to_source_date_epoch 1
%source_date_epoch_from_changelog 1
`

// ReproducibleEnv is the part of a build's environment that every builder sets, as KEY=value.
func ReproducibleEnv() []string {
	return []string{
		"LANG=C.UTF-8", "TZ=UTC",
		"PYTHONHASHSEED=0", // set order must not decide what a build writes
		"PIP_NO_INDEX=1", "PIP_DISABLE_PIP_VERSION_CHECK=1",
	}
}
