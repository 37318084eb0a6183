"""What the tools do around mmengine's Runner."""
