_base_ = './topformer-base_simple-head_8xb2-160k_ade20k-512x512.py'
# 8 GPUs x 4 images.
train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(base_batch_size=32)
