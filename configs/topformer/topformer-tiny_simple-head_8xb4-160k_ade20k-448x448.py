_base_ = './topformer-tiny_simple-head_8xb2-160k_ade20k-448x448.py'
# 8 GPUs x 4 images.
train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(base_batch_size=32)
