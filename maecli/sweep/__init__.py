"""Many runs that belong together: what varies, which runs that takes, doing them, and what came out."""
